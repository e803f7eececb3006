//! A process that is killed while it writes turns.
//!
//! The test runs itself again as the writer, with the path of the store in the environment. The
//! writer prints the number of each turn once the store has acknowledged it; the test kills it
//! without warning, opens the store, and looks for every turn that was printed.

// The helpers of a test may do what the test may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{bot, chat, turn};
use longtrainer_store::{ChatKind, Order, RedbStore, Store};
use rand::Rng;

const STORE_VARIABLE: &str = "LONGTRAINER_STORE_KILL_TEST";
const ROUNDS: usize = 12;

/// The writer: not a test of its own, it does nothing unless the variable is set.
#[test]
fn writer() {
    let Some(path) = std::env::var_os(STORE_VARIABLE) else {
        return;
    };
    let store = RedbStore::open(Path::new(&path)).unwrap();
    let mut out = std::io::stdout();
    loop {
        let text = "x".repeat(20_000);
        let number = store.append_turn("chat-a", &turn(&text, 0)).unwrap();
        writeln!(out, "\nacknowledged {number}").unwrap();
        out.flush().unwrap();
    }
}

/// Runs the writer for a while, kills it, and returns the last number that it printed.
fn run_and_kill(path: &Path, life: Duration) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["writer", "--exact", "--nocapture", "--test-threads=1"])
        .env(STORE_VARIABLE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let reader = thread::spawn(move || {
        let lines = output.lines().map_while(Result::ok);
        lines
            .filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok())
            .last()
    });
    thread::sleep(life);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

#[test]
fn a_killed_process_loses_no_acknowledged_turn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = RedbStore::open(&path).unwrap();
    store.create_bot(&bot("bot-a", 0)).unwrap();
    let chat = chat("chat-a", "bot-a", ChatKind::Text, 0);
    store.create_chat(&chat).unwrap();
    drop(store);

    let mut acknowledged = 0;
    for _ in 0..ROUNDS {
        let life = Duration::from_millis(rand::rng().random_range(20..300));
        if let Some(last) = run_and_kill(&path, life) {
            acknowledged = last + 1;
        }
        let begun = Instant::now();
        let store = RedbStore::open(&path).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "opening was slow");
        let turns = store.turns("chat-a", Order::Oldest, None).unwrap();
        let count = turns.len() as u64;
        // One more may be there: killed between the disk and the message.
        assert!(
            count >= acknowledged,
            "{count} of {acknowledged} turns are left"
        );
        assert!(
            count <= acknowledged + 1,
            "{count} turns, {acknowledged} acknowledged"
        );
        assert_eq!(store.chat("chat-a").unwrap().turns, count);
        assert_eq!(store.untrained_turns("bot-a").unwrap().len() as u64, count);
        for (place, turn) in (0..).zip(&turns) {
            assert_eq!(turn.turn, place);
            assert_eq!(turn.question.len(), "question ".len() + 20_000);
            assert_eq!(turn.answer.len(), "answer ".len() + 20_000);
        }
        acknowledged = count;
    }
    assert!(
        acknowledged > 20,
        "the writer wrote only {acknowledged} turns"
    );
}

#[test]
fn a_process_killed_while_it_makes_a_store_leaves_none_or_a_whole_one() {
    for round in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        run_and_kill(&path, Duration::from_millis(3 * round));
        assert!(RedbStore::open(&path).unwrap().bots().unwrap().is_empty());
    }
}
