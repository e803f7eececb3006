//! Links over HTTP: followed where the operator lets them lead, and nowhere else.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use longtrainer::{LinkOptions, LinkPolicy};
use serde_json::json;

use crate::fakes::{World, eventually};
use crate::server::TestServer;

/// A site on loopback with one page; counts what it is asked.
fn site() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            let path = line.split(' ').nth(1).unwrap();
            let body = format!("<p>The red boat is called Astrid, says {path}.</p>");
            let status = if line.contains("/gone") {
                "404 Not Found"
            } else {
                "200 OK"
            };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (port, asked)
}

/// A server whose operator lets links lead to this machine.
fn open_server() -> TestServer {
    let policy = LinkPolicy::default().allow_network("127.0.0.0/8").unwrap();
    let links = LinkOptions {
        policy,
        ..LinkOptions::default()
    };
    TestServer::over(World::with_links(links), |_| {})
}

#[test]
fn a_page_is_added_and_found() {
    let server = open_server();
    let (port, _) = site();
    let bot = server.bot(&[]);
    let add = format!("/bots/{bot}/documents/link");
    let page = format!("http://127.0.0.1:{port}/boats");
    let added = server.post(&add, &json!({"links": [page]})).ok();
    assert_eq!(
        added,
        json!({"status": "ok", "added": 1, "already_there": 0})
    );
    let again = server.post(&add, &json!({"links": [page]})).ok();
    assert_eq!(again["already_there"], 1);

    let job = server.post(
        &format!("{add}?background=true"),
        &json!({"links": [format!("{page}/2"), format!("{page}/3")], "build": true}),
    );
    assert_eq!(job.status, 202, "{job:?}");
    let path = format!("/jobs/{}", job.json()["job_id"].as_str().unwrap());
    eventually("the job ends", || {
        server.get(&path).ok()["status"] == "success"
    });
    assert_eq!(server.get(&path).ok()["result"]["added"], 2);
    let query = json!({"query": "What is the red boat called?"});
    let found = server
        .post(&format!("/bots/{bot}/vectorstore"), &query)
        .ok();
    let documents = found["documents"].as_array().unwrap();
    assert_eq!(documents.len(), 3);
    assert!(
        documents
            .iter()
            .any(|found| found["metadata"]["source"] == json!(page))
    );
}

#[test]
fn if_one_link_fails_nothing_is_added() {
    let server = open_server();
    let (port, _) = site();
    let bot = server.bot(&[]);
    let links = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}/gone"),
    ];
    let add = format!("/bots/{bot}/documents/link");
    let reason = server.post(&add, &json!({ "links": links })).refused(400);
    assert!(
        reason.contains("/gone") && reason.contains("404"),
        "{reason}"
    );
    assert_eq!(
        server.get(&format!("/bots/{bot}/documents")).ok(),
        json!({"documents": []})
    );
}

#[test]
fn links_lead_to_no_private_address_unless_the_operator_says_so() {
    let server = TestServer::start();
    let (port, asked) = site();
    let bot = server.bot(&[]);
    let add = format!("/bots/{bot}/documents/link");
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "192.168.0.1",
    ] {
        let link = format!("http://{host}:{port}/");
        let reason = server.post(&add, &json!({"links": [link]})).refused(400);
        assert!(
            reason.contains("public address") || reason.contains("not found"),
            "{host}: {reason}"
        );
    }
    // The server itself is no exception.
    let link = format!("http://{}/bots", server.address);
    server.post(&add, &json!({"links": [link]})).refused(400);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn what_is_no_link_is_refused() {
    let server = TestServer::start();
    let bot = server.bot(&[]);
    let add = format!("/bots/{bot}/documents/link");
    for link in [
        "file:///etc/passwd",
        "ftp://x.example/",
        "/etc/passwd",
        "",
        "http://a:b@x.example/",
    ] {
        server.post(&add, &json!({"links": [link]})).refused(400);
    }
    let many: Vec<_> = (0..101).map(|n| format!("http://x.example/{n}")).collect();
    for body in [
        json!({}),
        json!({"links": []}),
        json!({"links": "http://x.example/"}),
        json!({"links": [5]}),
        json!({ "links": many }),
        json!({"links": ["http://x.example/"], "depth": 2}),
    ] {
        server.post(&add, &body).refused(422);
    }
}

#[test]
fn offline_no_link_is_followed() {
    let server = TestServer::over(World::offline(), |_| {});
    let bot = server.bot(&[]);
    let add = format!("/bots/{bot}/documents/link");
    let reason = server
        .post(&add, &json!({"links": ["http://8.8.8.8/"]}))
        .refused(503);
    assert!(reason.contains("offline"), "{reason}");
}
