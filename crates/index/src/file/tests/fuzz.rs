//! Mutated files, most of them under fitting checksums, through all that a file goes through when it
//! is opened and read.
//!
//! A short run is a test. A long one, of as many inputs as `FUZZ_INPUTS` says:
//!
//! `cargo test --release -p longtrainer-index file::tests::fuzz -- --ignored --nocapture`

use std::env;
use std::ops::Range;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

use super::support::*;
use crate::file::preamble::{HEADER_LENGTH, u32_at};

/// The files that are mutated.
fn seeds() -> Vec<Vec<u8>> {
    let sample = Sample::new();
    let empty = file(&sample.fields(), &[]);
    let with_unknown = {
        let mut sources = sample.sources(64);
        sources[3].number = 99;
        sources[3].flags = 1;
        file(&sample.fields(), &sources)
    };
    let one_block = file(&sample.fields(), &sample.sources(4096));
    vec![
        sample.file(),
        one_block,
        with_unknown,
        empty,
        file_of_version_1(),
    ]
}

/// What became of the inputs.
#[derive(Debug, Default)]
struct Tally {
    /// Refused when opened.
    refused: u64,
    /// Opened, but some section is damaged.
    damaged: u64,
    /// Opened and read in full.
    read: u64,
}

fn fuzz(seed: u64, inputs: u64) -> Tally {
    let mut rng = StdRng::seed_from_u64(seed);
    let seeds = seeds();
    let mut tally = Tally::default();
    for _ in 0..inputs {
        let original = &seeds[rng.random_range(0..seeds.len())];
        let mut input = original.clone();
        for _ in 0..rng.random_range(1..4) {
            mutate(&mut input, &seeds, &mut rng);
        }
        let sealed = seal_some(&mut input, &mut rng);
        let outcome = outcome(&input);
        assert!(
            sealed || outcome != Outcome::Read || seeds.contains(&input),
            "{input:?}"
        );
        match outcome {
            Outcome::Refused => tally.refused += 1,
            Outcome::Damaged => tally.damaged += 1,
            Outcome::Read => tally.read += 1,
        }
    }
    tally
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Refused,
    Damaged,
    Read,
}

/// Opens an input and reads it section by section; of one that reads in full, a writer must make the
/// same file again.
fn outcome(input: &[u8]) -> Outcome {
    let Ok(container) = open_bytes(input) else {
        return Outcome::Refused;
    };
    let Ok(sample) = Sample::read(&container).and_then(|sample| {
        container.verify()?;
        Ok(sample)
    }) else {
        return Outcome::Damaged;
    };
    let held = 8 * sample.ids.len() + 4 * sample.vectors.len() + sample.codes.len();
    assert!(held <= input.len());
    if u32_at(input, 8) == 2
        && let Some(again) = rewritten(input)
    {
        assert_eq!(again, input);
    }
    Outcome::Read
}

fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut StdRng) {
    match rng.random_range(0..10) {
        0 => flip_bits(input, rng),
        1 => overwrite(input, rng),
        2 => cut(input, rng),
        3 => lengthen(input, rng),
        4 => splice(input, seeds, rng),
        5 => copy_within(input, rng),
        6 => edit_header(input, rng),
        _ => edit_entry(input, rng),
    }
}

fn flip_bits(input: &mut [u8], rng: &mut StdRng) {
    for _ in 0..rng.random_range(1..4) {
        if !input.is_empty() {
            let at = rng.random_range(0..input.len());
            input[at] ^= 1 << rng.random_range(0..8);
        }
    }
}

fn overwrite(input: &mut [u8], rng: &mut StdRng) {
    let place = some_range(input.len(), rng);
    rng.fill_bytes(&mut input[place]);
}

fn cut(input: &mut Vec<u8>, rng: &mut StdRng) {
    let length = rng.random_range(0..=input.len());
    input.truncate(length);
}

fn lengthen(input: &mut Vec<u8>, rng: &mut StdRng) {
    let length = input.len() + rng.random_range(1..130);
    let byte = [0, 0xff, rng.random()][rng.random_range(0..3)];
    input.resize(length, byte);
}

fn splice(input: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut StdRng) {
    let other = &seeds[rng.random_range(0..seeds.len())];
    let from = some_range(other.len(), rng);
    let to = some_range(input.len(), rng);
    input.splice(to, other[from].iter().copied());
}

fn copy_within(input: &mut [u8], rng: &mut StdRng) {
    let from = some_range(input.len(), rng);
    let to = rng.random_range(0..=input.len() - from.len());
    input.copy_within(from, to);
}

/// Puts a number that suits, or nearly suits, into a field of the header.
fn edit_header(input: &mut [u8], rng: &mut StdRng) {
    const FIELDS: [Range<usize>; 8] = [
        8..12,
        16..18,
        18..20,
        20..24,
        24..32,
        32..40,
        40..44,
        44..48,
    ];
    let field = FIELDS[rng.random_range(0..FIELDS.len())].clone();
    edit(input, field, rng);
}

/// The same for a field of the section table.
fn edit_entry(input: &mut [u8], rng: &mut StdRng) {
    const FIELDS: [Range<usize>; 8] = [0..4, 4..6, 6..8, 8..16, 16..24, 24..32, 40..44, 44..48];
    let sections = sections_present(input);
    if sections > 0 {
        let at = entry_at(rng.random_range(0..sections));
        let field = &FIELDS[rng.random_range(0..FIELDS.len())];
        edit(input, at + field.start..at + field.end, rng);
    }
}

fn edit(input: &mut [u8], field: Range<usize>, rng: &mut StdRng) {
    let length = input.len() as u64;
    let Some(field) = input.get_mut(field) else {
        return;
    };
    let mut bytes = [0; 8];
    bytes[..field.len()].copy_from_slice(field);
    let old = u64::from_le_bytes(bytes);
    let step = [1, 2, 4, 8, 64, 128][rng.random_range(0..6)];
    let new = match rng.random_range(0..7) {
        0 => old.wrapping_add(step),
        1 => old.wrapping_sub(step),
        2 => 1 << rng.random_range(0..64),
        3 => rng.random_range(0..16),
        4 => rng.random_range(0..=length),
        5 => u64::MAX - rng.random_range(0..64),
        _ => rng.random(),
    };
    let length = field.len();
    field.copy_from_slice(&new.to_le_bytes()[..length]);
}

/// Makes some or all checksums fit; tells whether it touched any.
fn seal_some(input: &mut [u8], rng: &mut StdRng) -> bool {
    match rng.random_range(0..8) {
        0 => return false,
        1 | 2 => seal_header(input),
        3 => seal_1(input),
        _ if input.len() >= HEADER_LENGTH && input[8] == 1 => seal_1(input),
        _ => seal(input),
    }
    true
}

/// Mostly short, sometimes any part of so many bytes.
fn some_range(length: usize, rng: &mut StdRng) -> Range<usize> {
    let start = rng.random_range(0..=length);
    let most = match rng.random_range(0..3) {
        0 => length,
        _ => length.min(start + 16),
    };
    start..rng.random_range(start..=most)
}

#[test]
fn a_hundred_thousand_mutants_give_no_panic_and_no_wrong_answer() {
    let tally = fuzz(11, 100_000);
    // The mutants get everywhere.
    assert!(tally.refused > 1_000, "{tally:?}");
    assert!(tally.damaged > 1_000, "{tally:?}");
    assert!(tally.read > 1_000, "{tally:?}");
}

#[test]
#[ignore = "runs for minutes"]
fn many_mutants() {
    let inputs = env::var("FUZZ_INPUTS").map_or(10_000_000, |count| count.parse().unwrap());
    let seed = env::var("FUZZ_SEED").map_or(1, |seed| seed.parse().unwrap());
    let start = Instant::now();
    let tally = fuzz(seed, inputs);
    println!("{inputs} inputs in {:.0?}: {tally:?}", start.elapsed());
}
