//! Jobs over a restart.

use longtrainer::JobStatus;
use serde_json::json;

use crate::fakes::World;
use crate::server::TestServer;

#[test]
fn what_a_crash_left_at_work_is_failed_at_the_next_start() {
    let world = World::new();
    let bot = world.bot(&["Text."]);
    let pending = world.trainer.create_job(&bot, "document_ingest").unwrap();
    let processing = world.trainer.create_job(&bot, "document_ingest").unwrap();
    let done = world.trainer.create_job(&bot, "document_ingest").unwrap();
    world
        .trainer
        .update_job(&processing.job_id, JobStatus::Processing, None)
        .unwrap();
    world
        .trainer
        .update_job(&done.job_id, JobStatus::Success, None)
        .unwrap();

    let server = TestServer::over(world, |_| {});
    for job in [pending, processing] {
        let job = server.get(&format!("/jobs/{}", job.job_id)).ok();
        assert_eq!(job["status"], "failed");
        assert_eq!(job["error"], "the server ended before the job was done");
    }
    let listed = server.get(&format!("/bots/{bot}/jobs")).ok();
    let statuses: Vec<_> = listed["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|j| &j["status"])
        .collect();
    assert_eq!(
        statuses,
        [&json!("failed"), &json!("failed"), &json!("success")]
    );
}

#[test]
fn an_unknown_job_is_not_found_and_jobs_end_with_their_bot() {
    let server = TestServer::start();
    for id in ["nothing", "6a9f0c3e-0000-4000-8000-000000000000"] {
        assert!(server.get(&format!("/jobs/{id}")).refused(404).contains(id));
    }
    let bot = server.bot(&[]);
    let job = server.ingest(&bot, &server.file("a.txt", "a"));
    server.delete(&format!("/bots/{bot}")).ok();
    server
        .get(&format!("/jobs/{}", job["job_id"].as_str().unwrap()))
        .refused(404);
}
