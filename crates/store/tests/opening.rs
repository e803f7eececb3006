//! Opening a store: the first time, twice, and when the file is not what it should be.

// The helpers of a test may do what the test may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs;
use std::path::Path;

use common::{Fixture, bot, chat, document, indexed, space, turn};
use longtrainer_store::{ChatKind, Error, RedbStore, Store};

/// A store with something of everything in it, as bytes.
fn filled() -> Vec<u8> {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store.create_bot(&bot("bot-a", 0)).unwrap();
    let chat = chat("chat-a", "bot-a", ChatKind::Text, 0);
    store.create_chat(&chat).unwrap();
    for number in 0..20 {
        let text = "some text ".repeat(200);
        let added = store
            .add_documents("bot-a", &[document(&format!("{number} {text}"))])
            .unwrap()
            .added;
        let vectors: &[&[f32]] = &[&[1.0, 2.0], &[3.0, 4.0]];
        store
            .index_documents("bot-a", &space(2), &[indexed(added[0], vectors)])
            .unwrap();
        store.append_turn("chat-a", &turn("t", number)).unwrap();
    }
    let path = fixture.path();
    let Fixture { store, folder } = fixture;
    drop(store);
    let bytes = fs::read(path).unwrap();
    drop(folder);
    bytes
}

/// Opens `bytes` as a store. Whatever happens, an error leaves the file as it was.
fn open_bytes(path: &Path, bytes: &[u8]) -> Result<RedbStore, Error> {
    fs::write(path, bytes).unwrap();
    let result = RedbStore::open(path);
    if result.is_err() {
        assert!(fs::read(path).unwrap() == bytes, "the file was changed");
    }
    result
}

fn assert_damaged(result: Result<RedbStore, Error>, path: &Path) {
    match result {
        Err(error @ Error::Damaged { .. }) => {
            assert!(error.to_string().contains(path.to_str().unwrap()));
            assert!(std::error::Error::source(&error).is_some());
        }
        other => panic!("expected damage, got {other:?}"),
    }
}

#[test]
fn a_new_store_is_there_after_opening_and_nothing_else() {
    let fixture = Fixture::new();
    assert!(fixture.store.bots().unwrap().is_empty());
    let names: Vec<_> = fs::read_dir(fixture.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["store.redb"]);
}

#[test]
fn an_empty_file_becomes_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = open_bytes(&path, b"").unwrap();
    store.create_bot(&bot("bot-a", 0)).unwrap();
}

#[test]
fn a_relative_path_without_a_folder_works() {
    // The only test that changes the working directory of this binary.
    let folder = tempfile::tempdir().unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    RedbStore::open(Path::new("store.redb")).unwrap();
    assert!(folder.path().join("store.redb").exists());
}

#[test]
fn a_store_can_be_open_only_once() {
    let fixture = Fixture::new();
    let error = RedbStore::open(&fixture.path()).unwrap_err();
    assert!(matches!(&error, Error::InUse { path } if *path == fixture.path()));
    assert!(error.to_string().contains("store.redb"));
    let Fixture { store, folder } = fixture;
    drop(store);
    RedbStore::open(&folder.path().join("store.redb")).unwrap();
}

#[test]
fn a_folder_that_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("store.redb");
    let error = RedbStore::open(&path).unwrap_err();
    assert!(matches!(&error, Error::Io { path: named, .. } if *named == path));
    let error = RedbStore::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
}

#[test]
fn foreign_files_are_damaged_and_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let texts: [&[u8]; 4] = [
        b"x",
        b"SQLite format 3\0 and more",
        &[0; 5000],
        b"redb\x1A\n\xA9\r\n",
    ];
    for text in texts {
        assert_damaged(open_bytes(&path, text), &path);
    }
}

#[test]
fn a_redb_file_of_another_program_is_damaged_and_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.redb");
    let database = redb::Database::create(&path).unwrap();
    let other: redb::TableDefinition<'_, u64, u64> = redb::TableDefinition::new("other");
    let transaction = database.begin_write().unwrap();
    transaction.open_table(other).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let bytes = fs::read(&path).unwrap();
    assert_damaged(open_bytes(&path, &bytes), &path);
}

#[test]
fn a_file_cut_anywhere_is_damaged_and_untouched() {
    let whole = filled();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let pages = whole.len() / 4096;
    let lengths = (1..pages).step_by(pages / 12).map(|page| page * 4096);
    for length in lengths.chain([1, 9, 100, 4095, whole.len() - 1]) {
        assert_damaged(open_bytes(&path, &whole[..length]), &path);
    }
}

#[test]
fn a_flipped_bit_never_panics_while_opening() {
    let whole = filled();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let mut refused = 0;
    let header = (0..320).step_by(5);
    let rest = (320..whole.len()).step_by(whole.len() / 60);
    for place in header.chain(rest) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x10;
        match open_bytes(&path, &bytes) {
            Ok(_) => {}
            Err(Error::Damaged { .. }) => refused += 1,
            Err(other) => panic!("byte {place}: {other:?}"),
        }
    }
    assert!(refused > 10, "{refused}");
}
