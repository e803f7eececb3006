use super::super::likeliest::top;
use super::*;

const VOCABULARY: usize = 400;

/// Settings for which some of the greatest logits are enough, of all kinds.
fn settings(numbers: &mut Numbers, round: u64) -> Sampling {
    Sampling {
        temperature: [0.0, 0.0, 0.7, 1.5][numbers.below(4)],
        top_k: Some([1, 3, 20, 1000][numbers.below(4)]),
        top_p: [None, Some(0.4), Some(0.9)][numbers.below(3)],
        min_p: [None, Some(0.05)][numbers.below(2)],
        repetition_penalty: [1.0, 1.05, 3.0][numbers.below(3)],
        repetition_window: [0, 4, 64, usize::MAX][numbers.below(4)],
        frequency_penalty: [0.0, 0.3][numbers.below(2)],
        presence_penalty: [0.0, 1.5][numbers.below(2)],
        seed: Some(round),
        ..Sampling::default()
    }
}

/// Logits of 16 bits and fewer: many are equal, zeros of both signs among them.
fn coarse(numbers: &mut Numbers) -> Vec<f32> {
    let logits = numbers.logits(VOCABULARY).into_iter();
    logits.map(|logit| (logit * 4.0).round() / 4.0).collect()
}

/// A text that grows, whose likeliest tokens are often those that it has; guesses put some rows ahead of it.
#[test]
fn enough_of_the_greatest_choose_as_all_do() {
    let mut numbers = Numbers(31);
    let mut fewer = 0;
    for round in 0..300 {
        let settings = settings(&mut numbers, round);
        let (mut of_all, mut of_some) = (sampler(&settings), sampler(&settings));
        let prompt = numbers.below(30);
        let mut tokens = numbers.tokens(prompt, VOCABULARY);
        for _ in 0..8 {
            let drafted = numbers.below(4);
            let enough = of_some.enough(text(&tokens, prompt), drafted).unwrap();
            fewer += usize::from(enough < VOCABULARY);
            for _ in 0..=drafted {
                let mut logits = coarse(&mut numbers);
                for token in &tokens {
                    logits[*token as usize] += 5.0;
                }
                let mut likeliest = top(&logits, enough);
                let text = text(&tokens, prompt);
                let among = of_some.choose_among(&mut likeliest, text);
                let expected = of_all.choose(&mut logits, text, None, None);
                assert_eq!(among, expected, "{settings:?}");
                tokens.push(among.token);
            }
        }
    }
    assert!(fewer > 1000, "{fewer}");
}

fn text(tokens: &[u32], prompt: usize) -> Text<'_> {
    Text { tokens, prompt }
}

#[test]
fn what_may_raise_a_logit_or_reach_any_takes_all() {
    let enough = |change: fn(&mut Sampling)| {
        let mut settings = Sampling::default();
        change(&mut settings);
        sampler(&settings).enough(text(&[1, 2, 3, 4, 5], 3), 2)
    };
    assert_eq!(enough(|_| ()), Some(1));
    assert_eq!(enough(|settings| settings.top_k = Some(9)), Some(1));
    assert_eq!(
        enough(|settings| settings.repetition_penalty = 1.1),
        Some(8)
    );
    assert_eq!(enough(|settings| settings.presence_penalty = 0.1), Some(5));
    assert_eq!(enough(|settings| settings.temperature = 1.0), None);
    assert_eq!(enough(|settings| settings.repetition_penalty = 0.9), None);
    assert_eq!(enough(|settings| settings.presence_penalty = -0.1), None);
    assert_eq!(enough(|settings| settings.frequency_penalty = -0.1), None);
    assert_eq!(
        enough(|settings| settings.logit_bias = vec![(1, 1.0)]),
        None
    );
    assert_eq!(enough(|settings| settings.dry = Some(Dry::default())), None);
    let windowed = enough(|settings| {
        settings.temperature = 0.5;
        settings.top_k = Some(usize::MAX);
        (settings.repetition_penalty, settings.repetition_window) = (1.1, 3);
    });
    assert_eq!(windowed, Some(usize::MAX));
}
