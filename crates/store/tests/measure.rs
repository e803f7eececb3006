//! How fast the store is. Not run by default; the numbers in `docs/store-format.md` come from
//! `cargo test --release -p longtrainer-store --test measure -- --ignored --nocapture`.

// The helpers of a test may do what the test may.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod common;

use std::time::Instant;

use common::{CHUNKING, Fixture, bot, chat, document, space, turn};
use longtrainer_store::{ChatKind, IndexedDocument, NewChunk, Store};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const DIMENSION: usize = 384;
const BATCH: usize = 256;

/// One document of 2,000 characters a chunk, in batches.
fn add_and_index(store: &dyn Store, random: &mut StdRng, count: usize) {
    for first in (0..count).step_by(BATCH) {
        let texts: Vec<String> = (first..count.min(first + BATCH))
            .map(|number| format!("{number:08} ").repeat(223)[..2000].to_owned())
            .collect();
        let documents: Vec<_> = texts.iter().map(|text| document(text)).collect();
        let added = store.add_documents("bot-a", &documents).unwrap().added;
        let indexed: Vec<_> = added
            .iter()
            .zip(texts)
            .map(|(document_id, text)| IndexedDocument {
                document_id: *document_id,
                chunking: CHUNKING,
                chunks: vec![NewChunk {
                    text,
                    start: 0,
                    vector: (0..DIMENSION)
                        .map(|_| random.random_range(-1.0..1.0))
                        .collect(),
                }],
            })
            .collect();
        store
            .index_documents("bot-a", &space(DIMENSION), &indexed)
            .unwrap();
    }
}

/// Peak resident memory of this process in MiB, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024)
}

#[test]
#[ignore = "a measurement, run by hand"]
fn measure() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store.create_bot(&bot("bot-a", 0)).unwrap();
    store
        .create_chat(&chat("chat-a", "bot-a", ChatKind::Text, 0))
        .unwrap();

    let begun = Instant::now();
    for number in 0..500 {
        store
            .append_turn("chat-a", &turn("some text", number))
            .unwrap();
    }
    println!(
        "append_turn: {:.0} a second",
        500.0 / begun.elapsed().as_secs_f64()
    );

    let random = &mut StdRng::seed_from_u64(7);
    let begun = Instant::now();
    add_and_index(store, random, 10_000);
    println!("add and index 10,000 chunks: {:.2?}", begun.elapsed());

    store.delete_bot("bot-a").unwrap();
    store.create_bot(&bot("bot-a", 0)).unwrap();
    let begun = Instant::now();
    add_and_index(store, random, 100_000);
    println!("add and index 100,000 chunks: {:.2?}", begun.elapsed());

    for round in ["after writing", "again"] {
        let begun = Instant::now();
        let (mut count, mut sum) = (0, 0.0);
        store
            .visit_vectors("bot-a", &mut |_, vector| {
                count += 1;
                sum += vector[0];
            })
            .unwrap();
        println!(
            "visit {count} vectors {round}: {:.2?} (sum {sum})",
            begun.elapsed()
        );
    }

    println!(
        "file: {} MiB",
        std::fs::metadata(fixture.path()).unwrap().len() >> 20
    );
    // A copy made now is what a crash would leave: it was not closed.
    let crashed = fixture.folder.path().join("crashed.redb");
    std::fs::copy(fixture.path(), &crashed).unwrap();
    std::fs::File::open(&crashed).unwrap().sync_all().unwrap();
    let begun = Instant::now();
    let store = longtrainer_store::RedbStore::open(&crashed).unwrap();
    println!("open after a crash: {:.2?}", begun.elapsed());
    drop(store);

    let begun = Instant::now();
    let Fixture { store, folder } = fixture;
    drop(store);
    println!("close: {:.2?}", begun.elapsed());
    let begun = Instant::now();
    let store = longtrainer_store::RedbStore::open(&folder.path().join("store.redb")).unwrap();
    println!("open: {:.2?}", begun.elapsed());
    let begun = Instant::now();
    store.delete_bot("bot-a").unwrap();
    println!("delete the bot: {:.2?}", begun.elapsed());
    if let Some(peak) = peak_memory() {
        println!("peak memory: {peak} MiB");
    }
}
