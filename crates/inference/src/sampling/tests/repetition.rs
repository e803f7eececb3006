use super::*;
use crate::soft::SOFT_BASE;

const VOCABULARY: usize = 12;

/// The bytes of a token are its letter; every fourth is a line break.
fn bytes(token: u32) -> &'static [u8] {
    const LETTERS: [&[u8]; VOCABULARY] = [
        b"a", b"b", b"c", b"\n", b"e", b"f", b"g", b"h\n", b"i", b"j", b"k", b" \nx",
    ];
    LETTERS[token as usize]
}

fn breaks(token: u32) -> bool {
    token % 4 == 3
}

/// Random texts of a small vocabulary repeat themselves all the time. The text comes token by token,
/// as from an engine.
#[test]
fn penalties_are_those_of_the_slow_way() {
    let mut numbers = Numbers(11);
    for round in 0..60 {
        let settings = Sampling {
            repetition_penalty: [1.0, 1.3, 0.7][round % 3],
            repetition_window: [0, 3, 64, usize::MAX][numbers.below(4)],
            frequency_penalty: [0.0, 0.4, -0.3][numbers.below(3)],
            presence_penalty: [0.0, 0.5, -2.0][numbers.below(3)],
            logit_bias: vec![(2, 1.5), (2, 0.25), (9, -3.0)],
            dry: [None, Some(dry(&mut numbers))][numbers.below(2)].clone(),
            ..Sampling::default()
        };
        let breaker = settings.dry.as_ref().map(|dry| &dry.sequence_breakers);
        let has_breaker = breaker.is_some_and(|breakers| !breakers.is_empty());
        let prompt = numbers.below(20);
        let mut tokens = numbers.tokens(prompt, 5);
        let mut sampler = Sampler::new(&settings, VOCABULARY, bytes);
        for _ in 0..60 {
            let logits = numbers.logits(VOCABULARY);
            let text = Text {
                tokens: &tokens,
                prompt,
            };
            let is_break = |token| has_breaker && breaks(token);
            let expected = reference::adjusted(&settings, &logits, text, &is_break);
            let mut changed = logits.clone();
            let token = sampler.choose(&mut changed, text, None, None).token;
            for (changed, expected) in changed.iter().zip(&expected) {
                let allowed = 1e-4 * expected.abs().max(1.0);
                assert!((changed - expected).abs() <= allowed, "{settings:?}");
            }
            let next = numbers.below(6) as u32;
            tokens.push(if next == 5 { token } else { next });
        }
    }
}

fn dry(numbers: &mut Numbers) -> Dry {
    Dry {
        multiplier: [0.8, 2.0, 0.0][numbers.below(3)],
        base: [1.0, 1.1, 1.75][numbers.below(3)],
        allowed_length: 1 + numbers.below(3),
        window: [5, 30, 4096][numbers.below(3)],
        sequence_breakers: [vec![], vec!["\n".to_owned()]][numbers.below(2)].clone(),
    }
}

#[test]
fn dry_forbids_to_go_on_with_a_repetition() {
    let settings = Sampling {
        dry: Some(Dry {
            multiplier: 10.0,
            ..Dry::default()
        }),
        ..Sampling::default()
    };
    let next = |tokens: &[u32]| {
        let mut logits = vec![0.0; VOCABULARY];
        logits[2] = 5.0;
        logits[3] = 4.0;
        let text = Text { tokens, prompt: 0 };
        let mut sampler = Sampler::new(&settings, VOCABULARY, bytes);
        sampler.choose(&mut logits, text, None, None).token
    };
    assert_eq!(next(&[0, 1, 2, 4, 0, 1]), 3, "two tokens are repeated");
    assert_eq!(next(&[0, 1, 2, 4, 1]), 2, "one may be");
    assert_eq!(next(&[0, 3, 2, 4, 0, 3]), 2, "a line break ends a stretch");
}

/// Text that repeats one token makes every place agree with the end as far as the window goes.
#[test]
fn dry_is_quick_where_the_text_repeats_itself() {
    let settings = Sampling {
        dry: Some(Dry {
            base: 1.0,
            ..Dry::default()
        }),
        ..Sampling::default()
    };
    let tokens = vec![1; 100_000];
    let mut sampler = Sampler::new(&settings, VOCABULARY, bytes);
    let started = std::time::Instant::now();
    for length in 99_900..100_000 {
        let text = Text {
            tokens: &tokens[..length],
            prompt: 0,
        };
        let mut logits = vec![0.0; VOCABULARY];
        assert_eq!(sampler.choose(&mut logits, text, None, None).token, 0);
        assert_eq!(logits[1], -0.8);
    }
    // Comparing each place with the end would take 800 million comparisons.
    assert!(started.elapsed().as_secs_f32() < 2.0);
}

#[test]
fn an_answer_that_was_taken_back_is_counted_again() {
    let settings = Sampling {
        frequency_penalty: 1.0,
        ..Sampling::default()
    };
    let mut sampler = Sampler::new(&settings, VOCABULARY, bytes);
    for (tokens, expected) in [(&[0, 1, 1, 1][..], -3.0), (&[0, 1], -1.0)] {
        let mut logits = vec![0.0; VOCABULARY];
        let text = Text { tokens, prompt: 1 };
        sampler.choose(&mut logits, text, None, None);
        assert_eq!(logits[1], expected);
        assert_eq!(logits[0], 0.0, "the prompt is not the answer");
    }
}

/// A picture between the words changes nothing but that a repetition does not reach across it.
#[test]
fn pictures_are_skipped() {
    let settings = Sampling {
        repetition_penalty: 1.3,
        repetition_window: 4,
        dry: Some(Dry {
            sequence_breakers: Vec::new(),
            ..Dry::default()
        }),
        ..Sampling::default()
    };
    let adjusted = |tokens: &[u32]| {
        let mut logits = vec![1.0; VOCABULARY];
        let text = Text {
            tokens,
            prompt: tokens.len(),
        };
        let mut sampler = Sampler::new(&settings, VOCABULARY, bytes);
        sampler.choose(&mut logits, text, None, None);
        logits
    };
    let picture: Vec<u32> = (SOFT_BASE..SOFT_BASE + 9).collect();
    let behind = [&[9, 8, 1, 2, 4, 8, 1, 2][..], &picture].concat();
    let found = adjusted(&behind);
    let penalised = 1.0 / 1.3;
    let expected = |token: usize| [2, 4, 8, 1].contains(&token);
    for (token, logit) in found.iter().enumerate() {
        let wanted = if expected(token) { penalised } else { 1.0 };
        assert_eq!(
            *logit, wanted,
            "{token}: the last four words, none repeated"
        );
    }
    let before = [&picture[..], &[9, 8, 1, 2, 4, 8, 1, 2]].concat();
    let plain = adjusted(&[9, 8, 1, 2, 4, 8, 1, 2]);
    assert!(plain[4] < penalised, "4 would repeat a stretch");
    assert_eq!(adjusted(&before), plain);
    let across = [&[9, 8, 1, 2, 4, 8][..], &picture, &[1, 2]].concat();
    let shorter = adjusted(&across);
    assert!(
        plain[4] < shorter[4] && shorter[4] < penalised,
        "only two words"
    );
}
