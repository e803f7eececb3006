//! The list of models.

use super::*;

#[test]
fn models_and_bots_are_listed_and_shown() {
    let server = TestServer::start();
    let bot = server.bot(&["A text."]);
    let list = server.get("/v1/models").ok();
    assert_eq!(list["object"], "list");
    let data = list["data"].as_array().unwrap();
    let role_of = |id: &str| {
        let found: Vec<_> = data.iter().filter(|model| model["id"] == id).collect();
        assert_eq!(found.len(), 1, "{id}: {list}");
        assert_eq!(found[0]["object"], "model");
        assert!(found[0]["created"].is_u64());
        found[0]["role"].clone()
    };
    assert_eq!(role_of("scripted"), "text");
    assert_eq!(role_of("eyes"), "vision");
    assert_eq!(role_of("words"), "embedding");
    assert_eq!(role_of(&bot), "bot");
    for id in ["scripted", &bot] {
        assert_eq!(server.get(&format!("/v1/models/{id}")).ok()["id"], *id);
    }
    for id in [
        "nothing",
        "a/b",
        "bot-x",
        "bot-00000000-0000-4000-8000-000000000000",
    ] {
        let error = refused(server.get(&format!("/v1/models/{id}")), 404);
        assert_eq!(error["code"], "model_not_found");
    }
}
