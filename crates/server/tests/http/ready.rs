//! `/ready`: up is not ready.

use longtrainer::LongTrainer;
use longtrainer::models::RegistryOptions;

use crate::fakes::{World, eventually};
use crate::server::TestServer;

/// A world whose default models are nowhere.
fn without_models() -> World {
    let mut world = World::new();
    let folder = world.dir.path().join("elsewhere");
    world.trainer = LongTrainer::builder(&folder)
        .registry(RegistryOptions {
            models_dir: Some(folder.join("models")),
            offline: true,
            ..RegistryOptions::default()
        })
        .build()
        .unwrap();
    world
}

fn reasons(server: &TestServer) -> Vec<String> {
    let reply = server.get("/ready");
    assert_eq!(reply.status, 503, "{reply:?}");
    assert_eq!(reply.json()["status"], "not ready");
    serde_json::from_value(reply.json()["reasons"].clone()).unwrap()
}

#[test]
fn a_server_with_its_models_is_ready() {
    for world in [World::new(), World::blind()] {
        let server = TestServer::over(world, |_| {});
        let body = server.get("/ready").ok();
        assert_eq!(body, serde_json::json!({"status": "ready", "reasons": []}));
    }
}

#[test]
fn models_that_are_not_here_are_the_reasons() {
    let world = without_models();
    let models = world.trainer.default_models();
    let server = TestServer::over(world, |_| {});
    let reasons = reasons(&server);
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    for model in &models[..2] {
        assert!(
            reasons.iter().any(|reason| reason.contains(&model.name)),
            "{}: {reasons:?}",
            model.name
        );
    }
    server.get("/health").ok();
}

#[test]
fn a_server_that_loads_its_models_first_is_ready_when_it_has() {
    let server = TestServer::over(World::new(), |options| options.warm = true);
    eventually("it is ready", || server.get("/ready").status == 200);
}

#[test]
fn models_that_cannot_be_loaded_at_the_start_are_a_reason() {
    let server = TestServer::over(without_models(), |options| options.warm = true);
    eventually("loading has failed", || {
        reasons(&server)
            .iter()
            .any(|reason| reason.starts_with("the models could not be loaded: "))
    });
    server.get("/health").ok();
}
