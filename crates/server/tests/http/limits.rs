//! What one client may take: requests, connections, and time.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use longtrainer::{Order, TurnStatus};
use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::fakes::{Behaviour, World, eventually};
use crate::keys::key;
use crate::server::TestServer;

const SHORT: Duration = Duration::from_millis(400);
/// Far more than any limit of these tests: the machine may be busy.
const LONG: Duration = Duration::from_secs(15);

fn connect(server: &TestServer) -> TcpStream {
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

/// Reads until the other side closes, and returns what it said.
fn to_end(mut stream: &TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the connection stays open"),
        // A connection that is closed on data it has not read is reset; what it said comes first.
        _ => String::from_utf8(bytes).unwrap(),
    }
}

#[test]
fn a_key_that_asks_too_often_is_told_when_to_come_back() {
    let world = World::new();
    let [busy, calm] = ["busy", "calm"].map(|name| key(&world, name, Some("acme")));
    let server = TestServer::over(world, |options| {
        options.requests_per_minute = NonZeroU32::new(3);
    });
    let ask = |key: &str, path: &str| server.get_with(path, &[("X-API-Key", key)]);
    (0..3).for_each(|_| drop(ask(&busy, "/bots").ok()));
    let refused = ask(&busy, "/bots");
    let wait: u64 = refused.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    assert!(refused.refused(429).contains("try again in"));
    let openai = ask(&busy, "/v1/models");
    assert_eq!(openai.status, 429);
    assert_eq!(openai.json()["error"]["code"], "rate_limit_exceeded");
    ask(&calm, "/bots").ok();
    // What is open to all, or refused, costs no key anything.
    (0..9).for_each(|_| drop(server.get("/health").ok()));
    (0..9).for_each(|_| drop(server.get("/bots").refused(401)));
    ask(&calm, "/bots").ok();
}

#[test]
fn a_full_queue_is_not_there_now_and_says_when_to_come_back() {
    let server = TestServer::start();
    let (ask, _) = server.chat();
    server.behave(Behaviour::Busy);
    let reply = server.post(&ask, &json!({"query": "Who?"}));
    assert_eq!(reply.headers["retry-after"], "2");
    assert!(reply.refused(503).contains("is busy"));
}

#[test]
fn a_head_that_drips_is_cut_off() {
    let server = TestServer::over(World::new(), |options| options.header_timeout = SHORT);
    let begun = Instant::now();
    let mut stream = connect(&server);
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
        .unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let closed = (0..1000).any(|_| {
        let sent = stream.write_all(b"X-A: b\r\n").is_ok();
        let read = stream.read(&mut [0; 1024]);
        let open = matches!(&read, Err(e) if e.kind() == ErrorKind::WouldBlock);
        !sent || !open
    });
    assert!(closed, "it drips on after {:?}", begun.elapsed());
    assert!(begun.elapsed() >= SHORT);
    server.get("/health").ok();
}

#[test]
fn a_connection_that_nobody_uses_is_closed_and_one_in_use_is_not() {
    let server = TestServer::over(World::new(), |options| options.header_timeout = SHORT);
    let idle = connect(&server);
    assert_eq!(to_end(&idle), "");
    // A long answer is no idleness.
    let (ask, _) = server.chat();
    server.behave(Behaviour::Ponder);
    let mut busy = server.ask_raw(&ask, "", &json!({"query": "Who?"}));
    std::thread::sleep(3 * SHORT);
    assert_eq!(server.model().readers_left(), 0, "the answer goes on");
    server.tell_to_stop();
    server.tell_to_stop();
    assert!(busy.read_to_end().contains("503"));
}

#[test]
fn a_body_that_drips_or_stops_is_given_up_with_a_reason() {
    let server = TestServer::over(World::new(), |options| options.body_timeout = SHORT);
    for every in [Some(Duration::from_millis(20)), None] {
        let mut stream = connect(&server);
        let head = "POST /bots HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                    Content-Length: 5000\r\n\r\n{";
        stream.write_all(head.as_bytes()).unwrap();
        let dripping = every.map(|every| {
            let mut stream = stream.try_clone().unwrap();
            std::thread::spawn(move || {
                while stream.write_all(b" ").is_ok() {
                    std::thread::sleep(every);
                }
            })
        });
        let said = to_end(&stream);
        assert!(said.starts_with("HTTP/1.1 408"), "{said}");
        assert!(
            said.contains("{\"detail\":\"the request's body came too slowly\""),
            "{said}"
        );
        drop(stream);
        if let Some(thread) = dripping {
            thread.join().unwrap();
        }
    }
    assert!(server.world.trainer.list_bots().unwrap().is_empty());
}

#[test]
fn a_client_that_does_not_read_its_answer_stops_the_model() {
    let server = TestServer::over(World::new(), |options| options.write_timeout = SHORT);
    let (ask, chat) = server.chat();
    server.behave(Behaviour::Flood);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // The less the system takes on the client's behalf, the sooner the server notices.
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&server.address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    let body = json!({"query": "Who?", "stream": true}).to_string();
    write!(
        stream,
        "POST {ask} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    eventually("the model stops", || server.model().readers_left() == 1);
    // What it had said by then is more than a client of these tests takes.
    let chat = chat.parse().unwrap();
    let turns = || {
        let trainer = &server.world.trainer;
        trainer.get_chat_by_id(&chat, Order::Oldest).unwrap()
    };
    eventually("the turn is stored", || !turns().is_empty());
    assert_eq!(turns()[0].status, TurnStatus::Cancelled);
    drop(stream);
}

#[test]
fn one_connection_too_many_is_told_so_and_takes_no_place() {
    let server = TestServer::over(World::new(), |options| options.max_connections = 3);
    let taken: Vec<_> = (0..3).map(|_| connect(&server)).collect();
    let told = |stream: TcpStream| {
        (&stream)
            .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .unwrap();
        to_end(&stream)
    };
    for _ in 0..5 {
        let said = told(connect(&server));
        assert!(said.starts_with("HTTP/1.1 503"), "{said}");
        assert!(said.contains("retry-after: 1\r\n"), "{said}");
        let (_, body) = said.split_once("\r\n\r\n").unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert!(body["detail"].as_str().unwrap().contains("connections"));
    }
    drop(taken);
    eventually("a place is free", || server.get("/health").status == 200);
}

#[test]
fn a_thousand_connections_are_served() {
    // Both ends are in this process, beside the files of other tests.
    let allowed = rlimit::increase_nofile_limit(4096).unwrap();
    let connections = 1000.min(allowed.saturating_sub(400) / 2);
    assert!(
        connections >= 300,
        "the system allows only {allowed} open files"
    );
    let server = TestServer::start();
    let streams: Vec<_> = (0..connections).map(|_| connect(&server)).collect();
    server.get("/health").ok();
    for mut stream in &streams {
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
    }
    for stream in &streams {
        let said = to_end(stream);
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    }
}
