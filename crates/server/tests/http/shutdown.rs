//! The end of a server.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::fakes::{Behaviour, World};
use crate::server::TestServer;

const EVENTS: &str = "Accept: text/event-stream\r\nConnection: close\r\n";

#[test]
fn an_answer_that_does_not_end_is_cancelled_when_the_grace_is_over() {
    let mut server = TestServer::over(World::new(), |options| {
        options.shutdown_grace = Duration::from_millis(200);
    });
    let (ask, chat) = server.chat();
    server.behave(Behaviour::Ramble);
    let mut client = server.ask_raw(&ask, EVENTS, &json!({"query": "Who?"}));
    client.read_until("event: token");
    let stopped = Instant::now();
    server.tell_to_stop();
    let rest = client.read_to_end();
    assert!(
        rest.contains("event: error") && rest.contains("the server is stopping"),
        "{rest}"
    );
    server.wait_for_end();
    assert!(stopped.elapsed() >= Duration::from_millis(200));
    assert!(
        stopped.elapsed() < Duration::from_secs(4),
        "{:?}",
        stopped.elapsed()
    );
    // The server does not end before the turn is stored.
    let turns = server
        .world
        .trainer
        .get_chat_by_id(&chat.parse().unwrap(), longtrainer::Order::Oldest)
        .unwrap();
    assert_eq!(turns.len(), 1);
    assert_eq!(turns[0].status, longtrainer::TurnStatus::Cancelled);
    assert!(turns[0].answer.starts_with("and "), "{turns:?}");
}

#[test]
fn an_answer_that_ends_in_time_is_whole() {
    let mut server = TestServer::start();
    let (ask, _) = server.chat();
    server.behave(Behaviour::Say("word ".repeat(2000)));
    let mut client = server.ask_raw(&ask, EVENTS, &json!({"query": "Who?"}));
    client.read_until("event: sources");
    server.tell_to_stop();
    assert!(client.read_to_end().contains("event: done"));
    server.wait_for_end();
}

#[test]
fn told_twice_it_does_not_wait() {
    let mut server = TestServer::start();
    let (ask, _) = server.chat();
    server.behave(Behaviour::Ponder);
    let mut client = server.ask_raw(&ask, EVENTS, &json!({"query": "Who?"}));
    client.read_until("event: sources");
    let stopped = Instant::now();
    server.tell_to_stop();
    server.tell_to_stop();
    server.wait_for_end();
    assert!(
        stopped.elapsed() < Duration::from_secs(4),
        "{:?}",
        stopped.elapsed()
    );
    assert!(TcpStream::connect(server.address).is_err());
}

#[test]
fn a_restart_finds_everything_again() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    server.post(&ask, &json!({"query": "Who?"})).ok();
    let before = server.turns(&chat);
    let server = TestServer::over(server.into_world().restart(), |_| {});
    assert_eq!(server.turns(&chat), before);
    server.post(&ask, &json!({"query": "And now?"})).ok();
    assert_eq!(server.turns(&chat).len(), 2);
}
