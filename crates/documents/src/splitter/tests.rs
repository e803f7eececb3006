//! Pieces against the reference fixture, properties that hold for any text, and time bounds.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// What `scripts/reference/splitter.py` writes.
#[derive(Deserialize)]
struct Reference {
    texts: HashMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    size: usize,
    overlap: usize,
    pieces: Vec<String>,
}

fn split(text: &str, size: usize, overlap: usize) -> Vec<Piece> {
    Splitter::new(size, overlap).unwrap().split(text)
}

fn texts(pieces: &[Piece]) -> Vec<&str> {
    pieces.iter().map(|piece| piece.text.as_str()).collect()
}

#[test]
fn pieces_are_those_of_the_reference() {
    let reference: Reference =
        serde_json::from_str(include_str!("../../tests/data/splitter.json")).unwrap();
    assert!(reference.cases.len() > 200);
    for case in &reference.cases {
        let pieces = split(&reference.texts[&case.text], case.size, case.overlap);
        let (name, size, overlap) = (&case.text, case.size, case.overlap);
        assert_eq!(texts(&pieces), case.pieces, "{name:?} at {size}/{overlap}");
    }
}

#[test]
fn lengths_that_do_not_go_together_are_refused() {
    for (size, overlap) in [(0, 0), (0, 1), (10, 10), (10, 11)] {
        let error = Splitter::new(size, overlap).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains(&format!("size of {size} and an overlap of {overlap}")),
            "{message}"
        );
    }
    assert!(Splitter::new(1, 0).is_ok());
}

#[test]
fn the_default_is_the_documented_one() {
    let splitter = Splitter::default();
    assert_eq!(
        (splitter.chunk_size(), splitter.chunk_overlap()),
        (2048, 200)
    );
}

#[test]
fn starts_count_characters_not_bytes() {
    let pieces = split("日本 語 text", 6, 0);
    let found: Vec<_> = pieces
        .iter()
        .map(|piece| (piece.text.as_str(), piece.start))
        .collect();
    assert_eq!(found, [("日本 語", 0), ("text", 5)]);
}

#[test]
fn a_letter_stays_with_its_accents() {
    let family = "👩\u{200d}👩\u{200d}👧";
    let text = format!("ab{family}cd{family}");
    let expected = ["ab".to_owned(), format!("{family}c"), format!("d{family}")];
    assert_eq!(texts(&split(&text, 6, 0)), expected);
}

#[test]
fn a_cluster_longer_than_a_piece_is_cut_all_the_same() {
    let text = format!("e{}", "\u{301}".repeat(9));
    let pieces = split(&text, 4, 0);
    assert_eq!(
        pieces
            .iter()
            .map(|piece| piece.text.chars().count())
            .collect::<Vec<_>>(),
        [4, 4, 2]
    );
}

/// Texts of words and separators, so that every level of the recursion is reached.
fn any_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-z]{1,12}",
        "\\PC{0,6}",
        Just(" ".to_owned()),
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("e\u{301}\u{302}".to_owned()),
        Just("\u{a0}\u{2003}\u{1f}".to_owned()),
    ];
    prop::collection::vec(part, 0..80).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn nothing_is_lost_and_every_piece_stands_where_it_says(
        text in any_text(),
        size in 1usize..40,
        overlap in 0usize..40,
    ) {
        prop_assume!(overlap < size);
        let characters: Vec<char> = text.chars().collect();
        let mut covered = 0;
        let mut last = 0;
        for piece in split(&text, size, overlap) {
            let found: Vec<char> = piece.text.chars().collect();
            prop_assert!(!found.is_empty() && found.len() <= size);
            prop_assert!(piece.start >= last);
            prop_assert_eq!(&characters[piece.start..piece.start + found.len()], &found[..]);
            let between = &characters[covered.min(piece.start)..piece.start];
            prop_assert!(between.iter().all(|character| is_blank(*character)), "lost {:?}", between);
            last = piece.start;
            covered = covered.max(piece.start + found.len());
        }
        prop_assert!(characters[covered..].iter().all(|character| is_blank(*character)));
    }
}

fn is_blank(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// Far more than a linear splitter needs, even here in a debug build on a busy machine, and far less
/// than a quadratic one does.
const LINEAR: Duration = Duration::from_secs(20);

fn splits_in_time(text: &str) -> Vec<Piece> {
    let started = Instant::now();
    let pieces = Splitter::default().split(text);
    let took = started.elapsed();
    assert!(took < LINEAR, "{} bytes took {took:?}", text.len());
    pieces
}

#[test]
fn large_and_odd_texts_take_linear_time() {
    const TEN_MB: usize = 10_000_000;
    assert!(splits_in_time(&"x".repeat(TEN_MB)).len() > TEN_MB / 2048);
    assert!(splits_in_time(&"é".repeat(TEN_MB / 2)).len() > TEN_MB / 2 / 2048);
    assert!(splits_in_time(&"\n".repeat(TEN_MB)).is_empty());
    assert!(splits_in_time(&" ".repeat(TEN_MB)).is_empty());
    assert!(splits_in_time(&"\n\nx".repeat(TEN_MB / 3)).len() > 1000);
    let sentence = "It is a truth that a text of a hundred megabytes takes its time.\n";
    let pieces = splits_in_time(&sentence.repeat(100_000_000 / sentence.len()));
    assert!(pieces.len() > 100_000_000 / 2048);
}
