//! Drafts against a search through the whole text, and the estimate against known odds.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::soft::SOFT_BASE;

const PRIOR: f64 = 0.5;

fn drafter(text: &[u32]) -> Drafter {
    let mut drafter = Drafter::new();
    drafter.extend(text);
    drafter
}

/// The same by looking at each place.
fn searched(text: &[u32], most: usize) -> &[u32] {
    for n in MATCHED_TOKENS.rev().filter(|&n| n < text.len()) {
        let ending = &text[text.len() - n..];
        for place in (n..text.len()).rev() {
            if &text[place - n..place] == ending {
                return &text[place..text.len().min(place + most)];
            }
        }
    }
    &[]
}

#[test]
fn drafts_are_what_a_search_finds() {
    let mut found = 0;
    for seed in 0..40 {
        let mut random = StdRng::seed_from_u64(seed);
        let letters = random.random_range(1..12);
        let mut drafter = Drafter::new();
        let mut text = Vec::new();
        for _ in 0..150 {
            let piece = (0..random.random_range(0..4)).map(|_| random.random_range(0..letters));
            let piece: Vec<u32> = piece.collect();
            drafter.extend(&piece);
            text.extend(piece);
            let most = random.random_range(0..8);
            let expected = searched(&text, most);
            assert_eq!(
                drafter.draft(most).tokens,
                expected,
                "seed {seed}: {text:?}"
            );
            found += expected.len();
        }
    }
    assert!(found > 1000, "{found} tokens drafted");
}

#[test]
fn a_quotation_is_drafted_from_the_longest_match() {
    // "2 3" stood twice; with the 1 before, only the first time.
    let text = [1, 2, 3, 4, 5, 6, 7, 9, 2, 3, 8, 8, 1, 2, 3];
    assert_eq!(drafter(&text).draft(3).tokens, [4, 5, 6]);
    assert_eq!(drafter(&text[..14]).draft(4).tokens, [3, 4, 5, 6]);
    assert!(
        drafter(&text[..13]).draft(4).tokens.is_empty(),
        "one token is no match"
    );
    assert!(drafter(&text).draft(0).tokens.is_empty());
    assert_eq!(drafter(&text).draft(usize::MAX).tokens, &text[3..]);
    assert!(drafter(&[]).draft(4).tokens.is_empty());
}

#[test]
fn a_draft_tells_how_much_it_matches() {
    let quoted: Vec<u32> = (0..40).collect();
    for matched in 2..30 {
        let text: Vec<u32> = quoted
            .iter()
            .chain(&[99])
            .chain(&quoted[5..5 + matched])
            .copied()
            .collect();
        let drafter = drafter(&text);
        let draft = drafter.draft(2);
        assert_eq!(draft.tokens, [5 + matched as u32, 6 + matched as u32]);
        assert_eq!(draft.matched, matched.min(MOST_MATCHED));
    }
}

#[test]
fn drafts_are_trusted_by_what_they_match() {
    let mut trust = Trust::new();
    let mut known = |matched| trust.of(matched).probability();
    assert!(known(2) < known(3) && known(3) < known(5) && known(9) < known(10));
    assert_eq!(known(4), known(5));
    assert_eq!(known(10), known(16));
    trust.of(12).record(4, 0);
    assert!(trust.of(10).probability() < 0.9);
    assert_eq!(trust.of(2).probability(), 0.35);
}

#[test]
fn pieces_of_the_same_hash_are_told_apart() {
    let mut drafter = drafter(&[1, 2, 3, 4, 5, 6]);
    let key = drafter.hash(&[5, 6]);
    drafter.followers.insert(key, 2);
    assert!(drafter.draft(4).tokens.is_empty(), "1 2 is not 5 6");
}

/// Drafts of `len` tokens, each right with the given odds.
fn observe(acceptance: &mut Acceptance, odds: f64, len: usize, steps: usize) -> f64 {
    let mut random = StdRng::seed_from_u64(7);
    let mut sum = 0.0;
    for _ in 0..steps {
        acceptance.should_try();
        let accepted = (0..len).take_while(|_| random.random_bool(odds)).count();
        acceptance.record(len, accepted);
        sum += acceptance.probability();
    }
    sum / steps as f64
}

#[test]
fn the_estimate_finds_the_odds() {
    for odds in [0.1, 0.3, 0.5, 0.8, 0.95] {
        for len in [1, 4, 8] {
            let mut acceptance = Acceptance::new(PRIOR);
            observe(&mut acceptance, odds, len, 200);
            // A token's share of forgetting pulls to the prior: a ninth of the way with one draft a step.
            let mean = observe(&mut acceptance, odds, len, 4000);
            let pull = (PRIOR - odds).abs() / 9.0;
            assert!(
                (mean - odds).abs() < pull + 0.03,
                "{mean} for {odds} by {len}"
            );
        }
    }
}

#[test]
fn what_follows_a_wrong_token_says_nothing() {
    let (mut long, mut short) = (Acceptance::new(PRIOR), Acceptance::new(PRIOR));
    long.record(8, 1);
    short.record(2, 1);
    assert_eq!(long.probability(), short.probability());
    let before = long.probability();
    long.record(0, 0);
    assert_eq!(long.probability(), before);
    assert!(long.should_try());
}

/// Steps until the next try.
fn pause(acceptance: &mut Acceptance) -> usize {
    (0..).take_while(|_| !acceptance.should_try()).count()
}

#[test]
fn misses_in_a_row_lead_to_longer_and_longer_pauses() {
    let mut acceptance = Acceptance::new(PRIOR);
    acceptance.record(4, 0);
    assert_eq!(pause(&mut acceptance), 0);
    for expected in [4, 8, 16, 32, 64, 64] {
        acceptance.record(4, 0);
        assert_eq!(pause(&mut acceptance), expected);
    }
    acceptance.record(4, 1);
    acceptance.record(4, 0);
    assert_eq!(pause(&mut acceptance), 0, "a hit makes up for all misses");
    acceptance.record(4, 0);
    assert_eq!(pause(&mut acceptance), 4);
}

#[test]
fn what_was_seen_long_ago_is_forgotten() {
    let mut acceptance = Acceptance::new(PRIOR);
    observe(&mut acceptance, 0.01, 4, 100);
    assert!(acceptance.probability() < 0.15);
    for _ in 0..400 {
        acceptance.should_try();
    }
    assert!(acceptance.probability() > 0.45);
}

/// A token after which a picture follows, twice: what follows the picture is guessed, the picture and
/// what stands before it never.
#[test]
fn pictures_are_neither_guessed_nor_matched() {
    let picture = [SOFT_BASE, SOFT_BASE + 1, SOFT_BASE + 2];
    let text = [&[1, 2, 3], &picture[..], &[4, 5, 6, 7], &[1, 2]].concat();
    let mut twice = drafter(&text);
    let nothing: [u32; 0] = [];
    assert_eq!(
        twice.draft(16).tokens,
        [3],
        "the guess ends before the picture"
    );
    twice.extend(&[3]);
    assert_eq!(
        twice.draft(16).tokens,
        nothing,
        "nothing but a picture followed"
    );
    twice.extend(&picture);
    assert_eq!(twice.draft(16).tokens, nothing, "a picture is no piece");
    twice.extend(&[4]);
    assert_eq!(
        twice.draft(16).tokens,
        nothing,
        "nor is its end with what follows"
    );
    twice.extend(&[5]);
    let draft = twice.draft(16);
    assert_eq!(draft.tokens, [6, 7, 1, 2, 3]);
    assert_eq!(draft.matched, 2, "and it counts for no match");
}
