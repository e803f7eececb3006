//! A disk that is full from its n-th write on, for every n of a small workload.
//!
//! The disk keeps what reached it, as a real one does. After each failure the store must say so,
//! go on working once there is space, and hold every acknowledged turn and no half of one.

use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use redb::{BackendError, StorageBackend};

use super::RedbStore;
use crate::connection::OpenBackend;
use crate::migration::PRESENT;
use crate::{
    BotRecord, BotSettings, ChatKind, ChatRecord, Error, Order, Store, TurnRecord, TurnStatus,
};

/// Bytes that outlive the backends which write to them, and how many more changes they take.
#[derive(Debug)]
struct Disk {
    bytes: Mutex<Vec<u8>>,
    changes_left: AtomicI64,
}

impl Disk {
    fn with_space() -> Arc<Self> {
        Arc::new(Self {
            bytes: Mutex::new(Vec::new()),
            changes_left: AtomicI64::new(i64::MAX),
        })
    }

    fn spend(&self) -> io::Result<()> {
        match self.changes_left.fetch_sub(1, Ordering::SeqCst) {
            1.. => Ok(()),
            _ => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn opener(self: &Arc<Self>) -> OpenBackend {
        let disk = Arc::clone(self);
        Box::new(move || Ok(Box::new(Mounted(Arc::clone(&disk)))))
    }
}

/// A backend on a [`Disk`].
#[derive(Debug)]
struct Mounted(Arc<Disk>);

impl StorageBackend for Mounted {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.0.bytes.lock().unwrap();
        let found = bytes.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.spend()?;
        self.0.bytes.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.spend()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let spent = self.0.spend();
        // The write that meets the end of the disk leaves its first half.
        let kept = if spent.is_ok() {
            data.len()
        } else {
            data.len() / 2
        };
        let mut bytes = self.0.bytes.lock().unwrap();
        bytes[offset as usize..][..kept].copy_from_slice(&data[..kept]);
        spent
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }
}

fn open(disk: &Arc<Disk>) -> RedbStore {
    RedbStore::open_backend(Path::new("full.redb"), disk.opener(), PRESENT).unwrap()
}

fn turn(number: u64) -> TurnRecord {
    TurnRecord {
        turn: 0,
        timestamp: Timestamp::UNIX_EPOCH,
        question: format!("question {number}"),
        answer: "answer ".repeat(1000),
        sources: vec![],
        web_sources: vec![],
        uploaded_files: vec![],
        trained: false,
        status: TurnStatus::Complete,
        error: None,
    }
}

fn with_a_chat(disk: &Arc<Disk>) -> RedbStore {
    let store = open(disk);
    let now = Timestamp::UNIX_EPOCH;
    let bot = BotRecord {
        bot_id: "bot-a".to_owned(),
        tenant: None,
        created_at: now,
        updated_at: now,
        settings: BotSettings::default(),
        built_at: None,
        vector_space: None,
        vectors_revision: 0,
    };
    store.create_bot(&bot).unwrap();
    let chat = ChatRecord {
        chat_id: "chat-a".to_owned(),
        bot_id: "bot-a".to_owned(),
        kind: ChatKind::Text,
        title: None,
        created_at: now,
        updated_at: now,
        turns: 0,
    };
    store.create_chat(&chat).unwrap();
    store
}

/// Checks that everything said about the turns agrees; returns the questions.
fn questions(store: &RedbStore) -> Vec<String> {
    let turns = store.turns("chat-a", Order::Oldest, None).unwrap();
    assert_eq!(store.chat("chat-a").unwrap().turns, turns.len() as u64);
    let untrained = store.untrained_turns("bot-a").unwrap();
    let also: Vec<_> = untrained.into_iter().map(|(_, turn)| turn).collect();
    assert_eq!(also, turns);
    for (place, turn) in (0..).zip(&turns) {
        assert_eq!(turn.turn, place);
        assert_eq!(turn.answer.len(), 7000);
    }
    turns.into_iter().map(|turn| turn.question).collect()
}

/// Whether `found` is `acknowledged` with some of the `failed` turns in between, in order.
fn is_between(found: &[String], acknowledged: &[String], attempted: &[String]) -> bool {
    let mut attempts = attempted.iter();
    let in_order = found.iter().all(|one| attempts.any(|other| other == one));
    in_order && acknowledged.iter().all(|one| found.contains(one))
}

#[test]
fn a_disk_that_fills_up_loses_no_acknowledged_turn() {
    let mut failures = 0;
    for space in 0.. {
        let disk = Disk::with_space();
        let store = with_a_chat(&disk);
        disk.changes_left.store(space, Ordering::SeqCst);

        let mut acknowledged = Vec::new();
        let mut attempted = Vec::new();
        let mut append = |number| {
            let turn = turn(number);
            attempted.push(turn.question.clone());
            let result = store.append_turn("chat-a", &turn);
            if result.is_ok() {
                acknowledged.push(turn.question);
            }
            result
        };
        let errors: Vec<_> = (0..4).filter_map(|number| append(number).err()).collect();
        for error in &errors {
            assert!(
                matches!(error, Error::Io { path, source }
                    if path == Path::new("full.redb")
                        && source.kind() == io::ErrorKind::StorageFull),
                "space {space}: {error:?}"
            );
        }
        // Space is made: the same store works again.
        disk.changes_left.store(i64::MAX, Ordering::SeqCst);
        append(4).unwrap();
        assert!(is_between(&questions(&store), &acknowledged, &attempted));
        drop(store);
        assert!(is_between(
            &questions(&open(&disk)),
            &acknowledged,
            &attempted
        ));
        if errors.is_empty() {
            break;
        }
        failures += 1;
    }
    assert!(failures > 20, "only {failures} failures were tried");
}

#[test]
fn bytes_left_by_a_disk_that_stays_full_open_again() {
    for space in 0..60 {
        let disk = Disk::with_space();
        let store = with_a_chat(&disk);
        disk.changes_left.store(space, Ordering::SeqCst);
        let mut acknowledged = Vec::new();
        let mut attempted = Vec::new();
        for number in 0..4 {
            let turn = turn(number);
            attempted.push(turn.question.clone());
            if store.append_turn("chat-a", &turn).is_ok() {
                acknowledged.push(turn.question);
            }
        }
        // The program ends while the disk is still full; what reached it is all there is.
        drop(store);
        disk.changes_left.store(i64::MAX, Ordering::SeqCst);
        assert!(is_between(
            &questions(&open(&disk)),
            &acknowledged,
            &attempted
        ));
    }
}

#[test]
fn a_store_that_cannot_be_made_says_so() {
    for space in 0..5 {
        let disk = Disk::with_space();
        disk.changes_left.store(space, Ordering::SeqCst);
        let result = RedbStore::open_backend(Path::new("full.redb"), disk.opener(), PRESENT);
        assert!(
            matches!(result, Err(Error::Io { .. })),
            "space {space}: {result:?}"
        );
    }
}

#[test]
fn a_reader_keeps_its_snapshot_error_and_the_next_one_works() {
    let disk = Disk::with_space();
    let store = with_a_chat(&disk);
    store.append_turn("chat-a", &turn(0)).unwrap();
    disk.changes_left.store(0, Ordering::SeqCst);
    assert!(store.append_turn("chat-a", &turn(1)).is_err());
    // Opening needs no more than one change of the disk, which is not there: an error, not a hang.
    assert!(matches!(store.bots(), Err(Error::Io { .. })));
    disk.changes_left.store(i64::MAX, Ordering::SeqCst);
    assert_eq!(questions(&store).len(), 1);
}
