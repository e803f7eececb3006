//! Jobs: what becomes one, how it is watched and ended, and what a restart does with it.

use longtrainer::{BotId, IngestSource, JobTask};
use serde_json::{Value, json};

use crate::fakes::{Behaviour, World, eventually};
use crate::server::TestServer;

fn path_of(job_id: &Value) -> String {
    format!("/jobs/{}", job_id.as_str().unwrap())
}

/// A server, a bot of 600 documents, and the job that builds it: a batch is done, and the next waits
/// for [`WordEmbedder::resume`](crate::fakes::WordEmbedder::resume).
fn build_at_work() -> (TestServer, BotId, Value) {
    let world = World::new();
    let texts: Vec<_> = (0..600).map(|n| format!("Boat number {n}.")).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let bot = world.trainer.initialize_bot_id().unwrap();
    let documents = crate::fakes::documents(&texts);
    world.trainer.pass_documents(documents, &bot).unwrap();
    world.embedder.pause_after(1);
    let server = TestServer::over(world, |_| {});
    let begun = server
        .post(&format!("/bots/{bot}/build?background=true"), &json!({}))
        .json();
    let path = path_of(&begun["job_id"]);
    eventually("a batch is done", || {
        server.get(&path).ok()["progress"]["done"].as_u64() > Some(0)
    });
    (server, bot, begun["job_id"].clone())
}

/// Waits for a job's end.
fn ended(server: &TestServer, job_id: &Value) -> Value {
    let path = path_of(job_id);
    let runs = |job: &Value| job["status"] == "pending" || job["status"] == "processing";
    eventually("the job ends", || !runs(&server.get(&path).ok()));
    server.get(&path).ok()
}

/// The job that a request becomes, once it has ended.
#[track_caller]
fn job_of(server: &TestServer, path: &str, body: &Value) -> Value {
    let begun = server.post(path, body);
    assert_eq!(begun.status, 202, "{begun:?}");
    let begun = begun.json();
    assert_eq!(begun["status"], "pending", "{begun}");
    ended(server, &begun["job_id"])
}

#[test]
fn a_build_in_the_background_is_a_job_and_tells_what_it_did() {
    let server = TestServer::start();
    let bot = server.bot(&[]);
    server.ingest(
        &bot,
        &server.file("a.txt", "The red boat is called Astrid."),
    );
    let build = format!("/bots/{bot}/build?background=true");
    let job = job_of(&server, &build, &json!({"num_k": 7}));
    assert_eq!(
        (&job["type"], &job["status"], &job["error"]),
        (&json!("build"), &json!("success"), &json!(null))
    );
    assert_eq!(job["bot_id"], json!(bot));
    assert_eq!(job["progress"]["phase"], "building");
    assert_eq!(
        (&job["progress"]["done"], &job["progress"]["total"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(job["result"]["documents"], 1);
    assert!(job.get("task").is_none(), "{job}");
    let record = server.get(&format!("/bots/{bot}")).ok();
    assert_eq!(record["settings"]["num_k"], 7);
    // What is wrong with the settings is told at once, and no job is made of it.
    server.post(&build, &json!({"num_k": 0})).refused(400);
    server
        .post(&format!("/bots/{bot}/build?background=maybe"), &json!({}))
        .refused(422);
    let listed = server.get(&format!("/bots/{bot}/jobs")).ok();
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 2, "{listed}");
}

#[test]
fn reading_a_file_may_build_at_once() {
    let server = TestServer::start();
    let bot = server.bot(&[]);
    let file = server.file("a.txt", "The red boat is called Astrid.");
    let begun = server
        .post(
            &format!("/bots/{bot}/documents/path"),
            &json!({"path": file, "build": true}),
        )
        .ok();
    let job = ended(&server, &begun["job_id"]);
    assert_eq!(job["result"]["added"], 1, "{job}");
    assert_eq!(job["result"]["build"]["documents"], 1, "{job}");
    let query = json!({"query": "What is the red boat called?"});
    let found = server
        .post(&format!("/bots/{bot}/vectorstore"), &query)
        .ok();
    assert_eq!(found["documents"].as_array().unwrap().len(), 1);
}

#[test]
fn training_and_reindexing_are_jobs_too() {
    let server = TestServer::start();
    let (ask, _) = server.chat();
    let bot = ask.split('/').nth(2).unwrap().to_owned();
    server.behave(Behaviour::Say("Ingrid, since 1982.".to_owned()));
    server.post(&ask, &json!({"query": "Since when?"})).ok();
    let train = format!("/bots/{bot}/train-chats?background=true");
    let job = job_of(&server, &train, &json!({}));
    assert_eq!(
        (&job["type"], &job["status"]),
        (&json!("train_chats"), &json!("success"))
    );
    assert_eq!(job["result"]["turns"], 1, "{job}");

    let reindex = format!("/bots/{bot}/reindex");
    let job = job_of(&server, &reindex, &json!({}));
    assert_eq!(
        (&job["type"], &job["status"]),
        (&json!("reindex"), &json!("success"))
    );
    assert_eq!(job["result"]["documents"], 2, "{job}");
    for model in ["/etc/passwd", "nothing", "scripted"] {
        let reason = server
            .post(&reindex, &json!({"embedding_model": model}))
            .refused(400);
        assert!(reason.contains(model), "{reason}");
    }
}

#[test]
fn a_job_that_waits_is_cancelled_and_never_done() {
    let world = World::new();
    let bot = world.bot(&["Text."]);
    let server = TestServer::over(world, |_| {});
    // It is written down, and nobody has begun it.
    let file = server.file("a.txt", "a");
    let task = JobTask::Ingest {
        bot_id: bot.clone(),
        sources: vec![IngestSource::Path { path: file }],
        replaces: None,
        build: false,
    };
    let job = server.world.trainer.begin_job(&task).unwrap();
    let path = format!("/jobs/{}", job.job_id);
    let cancelled = server.delete(&path).ok();
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(cancelled["error"], "the job was cancelled");
    let ran = server.world.trainer.run_job(&job.job_id).unwrap();
    assert_eq!(serde_json::to_value(ran.status).unwrap(), "cancelled");
    assert_eq!(server.world.trainer.list_documents(&bot).unwrap().len(), 1);
    // There is nothing left to cancel.
    for reply in [
        server.delete(&path),
        server.post_nothing(&format!("{path}/cancel")),
    ] {
        assert!(reply.refused(409).contains("ended already"));
    }
}

#[test]
fn a_build_at_work_is_cancelled_between_two_batches() {
    let (server, bot, job_id) = build_at_work();
    let path = path_of(&job_id);
    let told = server.post_nothing(&format!("{path}/cancel")).ok();
    assert_eq!(told["status"], "processing", "{told}");
    assert_eq!(told["progress"]["phase"], "cancelling", "{told}");
    server.world.embedder.resume();
    let job = ended(&server, &job_id);
    assert_eq!(job["status"], "cancelled", "{job}");
    // What is done is kept, and the next build does the rest.
    let done = job["progress"]["done"].as_u64().unwrap();
    assert!(done > 0 && done < 600, "{job}");
    let built = server.post_nothing(&format!("/bots/{bot}/build")).ok();
    assert_eq!(built["already_built"].as_u64().unwrap(), done);
    assert_eq!(built["documents"].as_u64().unwrap(), 600 - done);
}

#[test]
fn a_restart_goes_on_with_what_can_be_done_and_fails_the_rest() {
    let world = World::new();
    let bot = world.bot(&[]);
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, format!("The text of {name}.")).unwrap();
        path
    };
    let begin = |path| {
        let task = JobTask::Ingest {
            bot_id: bot.clone(),
            sources: vec![IngestSource::Path { path }],
            replaces: None,
            build: true,
        };
        world.trainer.begin_job(&task).unwrap().job_id
    };
    let here = begin(file("here.txt"));
    let gone = begin(file("gone.txt"));
    std::fs::remove_file(files.path().join("gone.txt")).unwrap();

    let server = TestServer::over(world.restart(), |_| {});
    let job = ended(&server, &json!(here));
    assert_eq!(job["status"], "success", "{job}");
    assert_eq!(job["result"]["build"]["documents"], 1, "{job}");
    let job = ended(&server, &json!(gone));
    assert_eq!(job["status"], "failed");
    let reason = job["error"].as_str().unwrap();
    assert!(
        reason.contains("server ended") && reason.contains("gone.txt"),
        "{reason}"
    );
    let failed = server.get("/jobs?status=failed").ok();
    assert_eq!(failed["jobs"].as_array().unwrap().len(), 1, "{failed}");
    server.get("/jobs?status=lost").refused(422);
}

#[test]
fn an_unknown_job_is_not_found_and_jobs_end_with_their_bot() {
    let server = TestServer::start();
    for id in ["nothing", "6a9f0c3e-0000-4000-8000-000000000000"] {
        for reply in [
            server.get(&format!("/jobs/{id}")),
            server.delete(&format!("/jobs/{id}")),
            server.post_nothing(&format!("/jobs/{id}/cancel")),
        ] {
            assert!(reply.refused(404).contains(id));
        }
    }
    let bot = server.bot(&[]);
    let job = server.ingest(&bot, &server.file("a.txt", "a"));
    server.delete(&format!("/bots/{bot}")).ok();
    server
        .get(&format!("/jobs/{}", job["job_id"].as_str().unwrap()))
        .refused(404);
    assert_eq!(server.get("/jobs").ok(), json!({"jobs": []}));
}

#[test]
fn a_bot_is_deleted_while_it_is_built() {
    let (server, bot, job_id) = build_at_work();
    let path = path_of(&job_id);
    std::thread::scope(|scope| {
        let deleting = scope.spawn(|| server.delete(&format!("/bots/{bot}")).ok());
        eventually("the build is told to end", || {
            server.get(&path).json()["progress"]["phase"] == "cancelling"
        });
        server.world.embedder.resume();
        deleting.join().unwrap();
    });
    server.get(&path).refused(404);
    server.get(&format!("/bots/{bot}")).refused(404);
}

#[test]
fn a_server_that_was_stopped_leaves_its_waiting_jobs_to_the_next() {
    let world = World::new();
    let texts: Vec<_> = (0..600).map(|n| format!("Boat number {n}.")).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let bot = world.trainer.initialize_bot_id().unwrap();
    let documents = crate::fakes::documents(&texts);
    world.trainer.pass_documents(documents, &bot).unwrap();
    world.embedder.pause_after(1);
    let mut server = TestServer::over(world, |_| {});
    let build = format!("/bots/{bot}/build?background=true");
    // More than are at work at once, so that some wait.
    let begun: Vec<_> = (0..4)
        .map(|_| server.post(&build, &json!({})).json()["job_id"].clone())
        .collect();
    let at_work = format!("/bots/{bot}/jobs?status=processing");
    eventually("two are at work", || {
        server.get(&at_work).ok()["jobs"].as_array().unwrap().len() == 2
    });
    eventually("a batch is done", || {
        let jobs = server.get(&at_work).ok();
        jobs["jobs"]
            .as_array()
            .unwrap()
            .iter()
            .any(|job| job["progress"]["done"].as_u64() > Some(0))
    });
    server.tell_to_stop();
    server.tell_to_stop();
    let embedder = std::sync::Arc::clone(&server.world.embedder);
    std::thread::sleep(std::time::Duration::from_millis(200));
    embedder.resume();
    server.wait_for_end();
    let trainer = server.world.trainer.clone();
    for job in &begun {
        let job = trainer.job(job.as_str().unwrap()).unwrap();
        assert!(!job.status.is_ended(), "{job:?}");
        assert_eq!(job.attempts, 0, "{job:?}");
    }
    drop(trainer);
    let server = TestServer::over(server.into_world(), |_| {});
    for job in &begun {
        assert_eq!(ended(&server, job)["status"], "success");
    }
    let built = server.post_nothing(&format!("/bots/{bot}/build")).ok();
    assert_eq!(built["already_built"], 600);
}

#[test]
fn more_jobs_than_can_wait_are_not_taken() {
    let world = World::new();
    let bot = world.bot(&[]);
    let server = TestServer::over(world, |_| {});
    let task = JobTask::Build {
        bot_id: bot.clone(),
    };
    for _ in 0..100 {
        server.world.trainer.begin_job(&task).unwrap();
    }
    let build = format!("/bots/{bot}/build?background=true");
    let reason = server.post(&build, &json!({})).refused(503);
    assert!(reason.contains("100 jobs wait"), "{reason}");
    let listed = server.get(&format!("/bots/{bot}/jobs?status=pending")).ok();
    let first = listed["jobs"][0]["job_id"].as_str().unwrap();
    server.delete(&format!("/jobs/{first}")).ok();
    assert_eq!(server.post(&build, &json!({})).status, 202);
}
