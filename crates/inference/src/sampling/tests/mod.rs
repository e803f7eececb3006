//! Each feature against a slow and obvious version of it, written here from its description.

mod among;
mod choosing;
mod numbers;
mod reference;
mod repetition;

use super::*;

/// Random numbers that are the same every time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Between -1 and 1.
    fn real(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// Logits as a model's: most of them near each other, a few far above; some are equal.
    fn logits(&mut self, count: usize) -> Vec<f32> {
        let mut logits: Vec<f32> = (0..count).map(|_| 4.0 * self.real()).collect();
        for _ in 0..count.div_ceil(8) {
            let (from, to) = (self.below(count), self.below(count));
            logits[to] = logits[from];
            logits[from] += 6.0 * self.real().max(0.0);
        }
        logits
    }

    fn tokens(&mut self, count: usize, vocabulary: usize) -> Vec<u32> {
        (0..count).map(|_| self.below(vocabulary) as u32).collect()
    }
}

fn sampling(change: impl FnOnce(&mut Sampling)) -> Sampling {
    let mut sampling = Sampling {
        temperature: 1.0,
        seed: Some(7),
        ..Sampling::default()
    };
    change(&mut sampling);
    sampling
}

fn sampler(sampling: &Sampling) -> Sampler {
    Sampler::new(sampling, 0, |_| &[])
}

const NO_TEXT: Text<'static> = Text {
    tokens: &[],
    prompt: 0,
};

fn choose(sampler: &mut Sampler, logits: &[f32]) -> u32 {
    let mut logits = logits.to_vec();
    sampler.choose(&mut logits, NO_TEXT, None, None).token
}

fn mask(tokens: &[u32], vocabulary: usize) -> TokenMask {
    let mut words = vec![0u32; vocabulary.div_ceil(32)];
    for token in tokens {
        words[*token as usize / 32] |= 1 << (token % 32);
    }
    TokenMask::from_words(words).unwrap()
}
