//! Files that are sent in, and documents that take the place of others.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::fakes::{World, eventually};
use crate::server::{Reply, TestServer};

const KIND: &[(&str, &str)] = &[("Content-Type", "multipart/form-data; boundary=XX")];

/// A file of a form.
fn file(name: &str, content: &str) -> String {
    format!(
        "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n{content}\r\n"
    )
}

/// A field of a form.
fn field(name: &str, value: &str) -> String {
    format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn form(parts: &[String]) -> Vec<u8> {
    format!("{}--XX--\r\n", parts.concat()).into_bytes()
}

fn upload(server: &TestServer, bot: &str, parts: &[String]) -> Reply {
    server.post_raw(&format!("/bots/{bot}/documents/upload"), KIND, &form(parts))
}

/// The job that an upload becomes, once it has ended.
#[track_caller]
fn job_of(server: &TestServer, begun: Reply) -> Value {
    assert_eq!(begun.status, 202, "{begun:?}");
    let path = format!("/jobs/{}", begun.json()["job_id"].as_str().unwrap());
    let runs = |job: &Value| job["status"] == "pending" || job["status"] == "processing";
    eventually("the job ends", || !runs(&server.get(&path).ok()));
    server.get(&path).ok()
}

fn sources(server: &TestServer, bot: &str) -> Vec<String> {
    let listed = server.get(&format!("/bots/{bot}/documents")).ok();
    let documents = listed["documents"].as_array().unwrap();
    documents
        .iter()
        .map(|document| document["metadata"]["source"].as_str().unwrap().to_owned())
        .collect()
}

/// What lies in the folder of uploads.
fn left_behind(server: &TestServer) -> usize {
    let folder = server.world.dir.path().join("uploads");
    std::fs::read_dir(folder).unwrap().count()
}

#[track_caller]
fn nothing_is_left(server: &TestServer, bot: &str) {
    eventually("the files are removed", || left_behind(server) == 0);
    assert_eq!(sources(server, bot), [""; 0]);
    assert_eq!(
        server.get(&format!("/bots/{bot}/jobs")).ok(),
        json!({"jobs": []})
    );
}

#[test]
fn files_that_are_sent_in_are_found_by_their_names() {
    let server = TestServer::start();
    let bot = server.bot(&[]);
    let parts = [
        file("boats.txt", "The red boat is called Astrid."),
        field("build", "true"),
        file("../../etc/räder.md", "# Wheels\r\n\r\nFour of them."),
    ];
    let job = job_of(&server, upload(&server, &bot, &parts));
    assert_eq!(
        (&job["type"], &job["status"]),
        (&json!("document_ingest"), &json!("success")),
        "{job}"
    );
    assert_eq!(
        (&job["result"]["files"], &job["result"]["added"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(sources(&server, &bot), ["boats.txt", "räder.md"]);
    let query = json!({"query": "What is the red boat called?"});
    let found = server
        .post(&format!("/bots/{bot}/vectorstore"), &query)
        .ok();
    assert_eq!(found["documents"][0]["metadata"]["source"], "boats.txt");
    assert_eq!(left_behind(&server), 0);
}

#[test]
fn if_one_file_cannot_be_read_none_is_added() {
    let server = TestServer::start();
    let bot = server.bot(&[]);
    let parts = [
        file("a.txt", "good"),
        file("b.pdf", "%PDF-1.7 nothing more"),
    ];
    let job = job_of(&server, upload(&server, &bot, &parts));
    assert_eq!(job["status"], "failed", "{job}");
    assert!(job["error"].as_str().unwrap().contains("b.pdf"), "{job}");
    assert_eq!(sources(&server, &bot), [""; 0]);
    assert_eq!(left_behind(&server), 0);
}

#[test]
fn forms_that_are_no_uploads_are_refused_and_leave_nothing() {
    let server = TestServer::over(World::new(), |options| options.upload_limit = 100_000);
    let bot = server.bot(&[]);
    let path = format!("/bots/{bot}/documents/upload");
    let many: Vec<_> = (0..101).map(|n| file(&format!("{n}.txt"), "x")).collect();
    for (parts, status, part) in [
        (vec![], 422, "no file"),
        (vec![field("build", "true")], 422, "no file"),
        (vec![field("name", "x")], 422, "name"),
        (
            vec![field("build", "yes"), file("a.txt", "x")],
            422,
            "build",
        ),
        (vec![field("build", &"t".repeat(5000))], 422, "build"),
        (vec![file("..", "x")], 400, "file name"),
        (vec![file("dir/", "x")], 400, "file name"),
        (vec![file("a.txt", &"x".repeat(200_000))], 413, "100000"),
        (many, 422, "100"),
    ] {
        let reason = upload(&server, &bot, &parts).refused(status);
        assert!(reason.contains(part), "{reason}");
    }
    for (headers, body, status) in [
        (KIND, &b"no boundary in sight"[..], 400),
        (KIND, b"--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nhalf a fi", 400),
        (KIND, b"", 400),
        (KIND, b"--XX\r\n\xff\xfe: \xff\r\n\r\nx\r\n--XX--\r\n", 400),
        (&[("Content-Type", "multipart/form-data")], b"x", 415),
        (&[("Content-Type", "application/json")], b"{}", 415),
        (&[("Content-Type", "text/plain")], b"x", 415),
    ] {
        let reply = server.post_raw(&path, headers, body);
        assert_eq!(reply.status, status, "{reply:?}");
        reply.refused(status);
    }
    let nobody = "bot-00000000-0000-4000-8000-000000000000";
    let reason = upload(&server, nobody, &[file("a.txt", "x")]).refused(404);
    assert!(reason.contains(nobody));
    nothing_is_left(&server, &bot);
}

/// A connection on which an upload has begun.
fn begun(server: &TestServer, bot: &str) -> TcpStream {
    let mut client = TcpStream::connect(server.address).unwrap();
    write!(
        client,
        "POST /bots/{bot}/documents/upload HTTP/1.1\r\nHost: {}\r\n\
         Content-Type: multipart/form-data; boundary=XX\r\nTransfer-Encoding: chunked\r\n\r\n",
        server.address
    )
    .unwrap();
    client
}

fn send(client: &mut TcpStream, piece: &[u8]) -> std::io::Result<()> {
    write!(client, "{:x}\r\n", piece.len())?;
    client.write_all(piece)?;
    client.write_all(b"\r\n")
}

/// Sends `piece` until the server has had enough, and returns its answer.
fn answer_to_endless(mut client: TcpStream, piece: &[u8]) -> String {
    let reader = client.try_clone().unwrap();
    let reading = std::thread::spawn(move || {
        let mut answer = [0; 1024];
        let read = (&reader).read(&mut answer).unwrap_or(0);
        String::from_utf8_lossy(&answer[..read]).into_owned()
    });
    let mut sent = 0;
    while sent < 400 << 20 && send(&mut client, piece).is_ok() {
        sent += piece.len();
    }
    assert!(sent < 400 << 20, "the server read {sent} bytes");
    reading.join().unwrap()
}

#[test]
fn uploads_without_an_end_are_cut_off() {
    let server = TestServer::over(World::new(), |options| options.upload_limit = 4 << 20);
    let bot = server.bot(&[]);
    let mut client = begun(&server, &bot);
    send(&mut client, file("a.txt", "").as_bytes()).unwrap();
    let answer = answer_to_endless(client, &[b'x'; 0x10000]);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");

    // The header of a part that never ends is not gathered up to the limit of the upload.
    let mut client = begun(&server, &bot);
    send(&mut client, b"--XX\r\nContent-Disposition: ").unwrap();
    let answer = answer_to_endless(client, &[b'x'; 0x10000]);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("header without an end"), "{answer}");
    nothing_is_left(&server, &bot);
}

#[test]
fn a_sender_that_leaves_half_way_leaves_nothing() {
    let server = TestServer::start();
    let bot = server.bot(&[]);
    let mut client = begun(&server, &bot);
    send(&mut client, file("a.txt", "a whole file").as_bytes()).unwrap();
    send(
        &mut client,
        b"--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"b.txt\"\r\n\r\nhalf",
    )
    .unwrap();
    eventually("the file is begun", || left_behind(&server) == 1);
    drop(client);
    nothing_is_left(&server, &bot);
}

#[test]
fn what_a_crash_left_of_uploads_is_removed_or_read() {
    let world = World::new();
    let bot = world.bot(&[]);
    let mut whole = world.trainer.begin_upload().unwrap();
    std::io::Write::write_all(&mut whole.create_file("a.txt").unwrap(), b"Whole.").unwrap();
    let job = world
        .trainer
        .begin_upload_job(whole, bot.clone(), None, false)
        .unwrap();
    let mut half = world.trainer.begin_upload().unwrap();
    half.create_file("b.txt").unwrap();
    // A crash runs no destructor.
    std::mem::forget(half);

    let server = TestServer::over(world.restart(), |_| {});
    let path = format!("/jobs/{}", job.job_id);
    eventually("the job ends", || {
        server.get(&path).ok()["status"] == "success"
    });
    assert_eq!(sources(&server, bot.as_str()), ["a.txt"]);
    eventually("the files are removed", || left_behind(&server) == 0);
}

#[test]
fn a_text_takes_the_place_of_a_document() {
    let server = TestServer::start();
    let bot = server.bot(&["The boat is red.", "The house is blue."]);
    let path = format!("/bots/{bot}/documents/0");
    let shown = server.get(&path).ok();
    assert_eq!(shown["page_content"], "The boat is red.");
    let replaced = server
        .put(&path, &json!({"page_content": "The boat is green."}))
        .ok();
    assert_eq!(
        (&replaced["status"], &replaced["replaced"]),
        (&json!("ok"), &json!(0))
    );
    server.get(&path).refused(404);
    let search = |query: &str| {
        let body = json!({ "query": query });
        server
            .post(&format!("/bots/{bot}/vectorstore"), &body)
            .ok()
            .to_string()
    };
    assert!(
        !search("boat").contains("red"),
        "the old text is still found"
    );
    server.post_nothing(&format!("/bots/{bot}/build")).ok();
    assert!(search("boat").contains("green"));
    let new = replaced["document_id"].as_u64().unwrap();
    let shown = server.get(&format!("/bots/{bot}/documents/{new}")).ok();
    assert_eq!(shown["metadata"]["source"], "text 0");
    for (body, status) in [
        (json!({}), 422),
        (json!({"page_content": 5}), 422),
        (json!({"page_content": "x", "metadata": "y"}), 422),
        (json!({"page_content": "x", "text": "y"}), 422),
    ] {
        server
            .put(&format!("/bots/{bot}/documents/{new}"), &body)
            .refused(status);
    }
    server
        .put(&path, &json!({"page_content": "x"}))
        .refused(404);
}

#[test]
fn a_file_takes_the_place_of_all_documents_of_another() {
    let server = TestServer::start();
    let bot = server.bot(&[]);
    let rows = "name,colour\nboat,red\nhouse,blue\n";
    job_of(
        &server,
        upload(
            &server,
            &bot,
            &[file("things.csv", rows), file("other.txt", "x")],
        ),
    );
    assert_eq!(
        sources(&server, &bot),
        ["things.csv", "things.csv", "other.txt"]
    );
    let listed = server.get(&format!("/bots/{bot}/documents")).ok();
    let row = listed["documents"][1]["document_id"].as_u64().unwrap();
    let path = format!("/bots/{bot}/documents/{row}");
    let put = |parts: &[String]| server.put_raw(&path, KIND, &form(parts));
    put(&[file("a.csv", "x"), file("b.csv", "x")]).refused(422);
    let job = job_of(
        &server,
        put(&[file("things.csv", "name,colour\nboat,green\n")]),
    );
    assert_eq!(
        (&job["result"]["added"], &job["result"]["replaced"]),
        (&json!(1), &json!(2)),
        "{job}"
    );
    assert_eq!(sources(&server, &bot), ["other.txt", "things.csv"]);
    put(&[file("things.csv", "x")]).refused(404);
    eventually("the files are removed", || left_behind(&server) == 0);
}
