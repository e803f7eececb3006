//! Every tier against f64, around the borders of vectors, blocks and pages.
//!
//! The reference rounds keys and values to half precision as the cache does; what is left is the
//! rounding of f32, hence the tolerance.

use std::sync::Arc;

use half::f16;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::causal::causal_attention_on;

use super::segment::segment_attention_on;
use super::{CacheShape, CacheStep, CausalAttention, KeyValueCache, PagePool, Rows, Sequence};
use crate::isa::{Isa, Supported};
use crate::{Error, Team};

/// Outputs are means of values below 1, of scores up to a few.
const TOLERANCE: f64 = 3e-6;

pub(super) fn tiers() -> impl Iterator<Item = Supported> {
    Isa::ALL.into_iter().filter_map(Supported::new)
}

pub(super) fn random(seed: u64, length: usize) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..length)
        .map(|_| random.random_range(-1.0..1.0))
        .collect()
}

fn to_half(value: f32) -> f64 {
    f64::from(f16::from_f32(value).to_f32())
}

/// A model's attention, and the fused rows q|k|v of some tokens.
#[derive(Clone, Copy)]
struct Model {
    heads: usize,
    kv_heads: usize,
    dim: usize,
    window: Option<usize>,
}

impl Model {
    fn scale(self) -> f32 {
        // Larger than usual, so that weights are far from equal.
        3.0 / (self.dim as f32).sqrt()
    }

    fn stride(self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.dim
    }

    fn width(self) -> usize {
        self.heads * self.dim
    }

    fn tokens(self, seed: u64, count: usize) -> Vec<f32> {
        random(seed, count * self.stride())
    }

    fn queries(self, qkv: &[f32]) -> Rows<'_> {
        Rows::new(qkv, self.stride(), 0, self.width()).unwrap()
    }

    fn attention(self, layer: usize) -> CausalAttention {
        CausalAttention {
            layer,
            heads: self.heads,
            scale: self.scale(),
            window: self.window,
        }
    }

    /// An empty cache of a pool of its own.
    fn cache(self) -> KeyValueCache {
        KeyValueCache::new(&self.pool(1))
    }

    fn pool(self, layers: usize) -> Arc<PagePool> {
        PagePool::new(CacheShape {
            layers,
            kv_heads: self.kv_heads,
            head_dim: self.dim,
        })
    }

    /// Puts the rows of a layer into a step.
    fn extend(self, cpu: Supported, step: &mut CacheStep<'_>, layer: usize, qkv: &[f32]) {
        let width = self.kv_heads * self.dim;
        let keys = Rows::new(qkv, self.stride(), self.width(), width).unwrap();
        let values = Rows::new(qkv, self.stride(), self.width() + width, width).unwrap();
        step.extend_on(cpu, layer, keys, values).unwrap();
    }

    /// Feeds tokens in chunks of these sizes; the outputs of all of them.
    fn attend(self, cpu: Supported, team: &Team, qkv: &[f32], chunks: &[usize]) -> Vec<f32> {
        let mut cache = self.cache();
        let (mut out, mut rest) = (Vec::new(), qkv);
        for chunk in chunks {
            let (rows, others) = rest.split_at(chunk * self.stride());
            rest = others;
            out.extend(self.read(cpu, team, &mut cache, rows));
        }
        assert!(rest.is_empty(), "the chunks are all tokens");
        out
    }

    /// Feeds tokens to a cache of one layer; their outputs.
    fn read(
        self,
        cpu: Supported,
        team: &Team,
        cache: &mut KeyValueCache,
        rows: &[f32],
    ) -> Vec<f32> {
        self.read_together(cpu, team, &mut [(cache, rows)])
    }

    /// Feeds tokens to several caches of one layer in one call; the outputs of all.
    fn read_together(
        self,
        cpu: Supported,
        team: &Team,
        texts: &mut [(&mut KeyValueCache, &[f32])],
    ) -> Vec<f32> {
        let qkv: Vec<f32> = texts.iter().flat_map(|(_, rows)| *rows).copied().collect();
        let mut steps = Vec::new();
        for (cache, rows) in texts {
            let mut step = cache.begin(rows.len() / self.stride());
            self.extend(cpu, &mut step, 0, rows);
            steps.push(step);
        }
        let sequences: Vec<_> = steps.iter().map(whole_step).collect();
        let out = self.attend_on(cpu, team, 0, &qkv, &sequences);
        steps.into_iter().for_each(|step| step.finish().unwrap());
        out
    }

    fn attend_on(
        self,
        cpu: Supported,
        team: &Team,
        layer: usize,
        qkv: &[f32],
        sequences: &[Sequence<'_>],
    ) -> Vec<f32> {
        let queries = self.queries(qkv);
        let mut out = vec![f32::NAN; queries.count() * self.width()];
        let attention = self.attention(layer);
        causal_attention_on(cpu, team, attention, queries, sequences, &mut out).unwrap();
        out
    }

    /// The output of one token in f64.
    fn truth(self, qkv: &[f32], token: usize) -> Vec<f64> {
        let rows: Vec<&[f32]> = qkv.chunks(self.stride()).collect();
        let from = (token + 1).saturating_sub(self.window.unwrap_or(usize::MAX));
        let group = self.heads / self.kv_heads;
        (0..self.heads)
            .flat_map(|head| {
                let key = self.width() + head / group * self.dim;
                let value = key + self.kv_heads * self.dim;
                let query = &rows[token][head * self.dim..][..self.dim];
                let seen = &rows[from..=token];
                let keys: Vec<_> = seen
                    .iter()
                    .map(|row| halves(&row[key..][..self.dim]))
                    .collect();
                let values: Vec<_> = seen
                    .iter()
                    .map(|row| halves(&row[value..][..self.dim]))
                    .collect();
                attention_in_f64(query, &keys, &values, self.scale())
            })
            .collect()
    }
}

/// All tokens of a step.
fn whole_step<'a>(step: &'a CacheStep<'a>) -> Sequence<'a> {
    Sequence {
        step,
        tokens: step.count(),
    }
}

/// Sizes of chunks, at random up to `most`, that are `total` together.
fn random_chunks(random: &mut StdRng, total: usize, most: usize) -> Vec<usize> {
    let (mut chunks, mut left) = (Vec::new(), total);
    while left > 0 {
        let chunk = random.random_range(1..=most).min(left);
        chunks.push(chunk);
        left -= chunk;
    }
    chunks
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn halves(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| to_half(*value)).collect()
}

fn attention_in_f64(query: &[f32], keys: &[Vec<f64>], values: &[Vec<f64>], scale: f32) -> Vec<f64> {
    let score = |key: &Vec<f64>| {
        let products = query.iter().zip(key).map(|(q, k)| f64::from(*q) * k);
        products.sum::<f64>() * f64::from(scale)
    };
    let scores: Vec<f64> = keys.iter().map(score).collect();
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
    let total: f64 = weights.iter().sum();
    (0..query.len())
        .map(|component| {
            let parts = weights.iter().zip(values);
            parts
                .map(|(weight, value)| weight * value[component])
                .sum::<f64>()
                / total
        })
        .collect()
}

fn assert_near(found: &[f32], truth: &[f64], what: &str) {
    assert_eq!(found.len(), truth.len(), "{what}");
    for (at, (found, truth)) in found.iter().zip(truth).enumerate() {
        let error = (f64::from(*found) - truth).abs();
        assert!(error < TOLERANCE, "{what}: [{at}] is {found}, not {truth}");
    }
}

/// Checks the tokens around all borders, as all of them take f64 too long.
fn assert_tokens_near(model: Model, qkv: &[f32], found: &[f32], what: &str) {
    let tokens = qkv.len() / model.stride();
    for token in 0..tokens {
        let border = [0, 1, 15].contains(&(token % 16)) && token % 64 < 17;
        if tokens <= 20 || border || token + 2 >= tokens {
            let found = &found[token * model.width()..][..model.width()];
            assert_near(
                found,
                &model.truth(qkv, token),
                &format!("{what}, token {token}"),
            );
        }
    }
}

#[test]
fn prefill_and_decode_are_near_the_truth_for_all_shapes_of_heads() {
    let team = Team::new(2).unwrap();
    let shapes = [
        (1, 1, 64),
        (3, 1, 64),
        (4, 1, 128),
        (9, 1, 64),
        (9, 3, 64),
        (8, 2, 2),
        (6, 2, 6),
        (4, 4, 18),
        (2, 1, 80),
        (2, 2, 90),
        (2, 1, 256),
        (5, 1, 32),
    ];
    for (heads, kv_heads, dim) in shapes {
        let model = Model {
            heads,
            kv_heads,
            dim,
            window: None,
        };
        let qkv = model.tokens(1, 70);
        for cpu in tiers() {
            let what = format!("{cpu:?}: {heads}/{kv_heads} heads of {dim}");
            let found = model.attend(cpu, &team, &qkv, &[66, 1, 3]);
            assert_tokens_near(model, &qkv, &found, &what);
        }
    }
}

#[test]
fn every_length_around_blocks_and_pages_is_near_the_truth() {
    let team = Team::new(2).unwrap();
    let model = Model {
        heads: 3,
        kv_heads: 1,
        dim: 16,
        window: None,
    };
    for length in [
        1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 600,
    ] {
        let qkv = model.tokens(2, length);
        for cpu in tiers() {
            let found = model.attend(cpu, &team, &qkv, &[length]);
            assert_tokens_near(
                model,
                &qkv,
                &found,
                &format!("{cpu:?}: prefill of {length}"),
            );
            let found = model.attend(cpu, &team, &qkv, &[length - 1, 1]);
            let last = &found[(length - 1) * model.width()..];
            assert_near(
                last,
                &model.truth(&qkv, length - 1),
                &format!("{cpu:?}: decode at {length}"),
            );
        }
    }
}

#[test]
fn windows_hide_what_lies_before_them() {
    let team = Team::new(2).unwrap();
    for window in [1, 2, 16, 63, 64, 100, 255, 256, 300, 1000] {
        let model = Model {
            heads: 4,
            kv_heads: 2,
            dim: 16,
            window: Some(window),
        };
        let qkv = model.tokens(3, 530);
        // All tokens, as a window's start meets a block's border at any of them.
        let truth: Vec<f64> = (0..530)
            .flat_map(|token| model.truth(&qkv, token))
            .collect();
        for cpu in tiers() {
            let what = format!("{cpu:?}: window {window}");
            let found = model.attend(cpu, &team, &qkv, &[526, 1, 1, 2]);
            assert_near(&found, &truth, &what);
        }
    }
    let model = Model {
        heads: 4,
        kv_heads: 2,
        dim: 16,
        window: Some(0),
    };
    let qkv = model.tokens(3, 60);
    for cpu in tiers() {
        let found = model.attend(cpu, &team, &qkv, &[59, 1]);
        assert!(found.iter().all(|x| *x == 0.0), "{cpu:?}");
    }
}

#[test]
fn a_tokens_bits_do_not_depend_on_the_chunks() {
    let teams = [Team::alone(), Team::new(2).unwrap(), Team::new(5).unwrap()];
    let mut random = StdRng::seed_from_u64(4);
    for (heads, kv_heads, dim, window) in [
        (9, 3, 64, None),
        (4, 1, 18, Some(70)),
        (5, 5, 32, Some(200)),
        (14, 2, 128, None),
        (8, 1, 6, Some(1)),
    ] {
        let model = Model {
            heads,
            kv_heads,
            dim,
            window,
        };
        let qkv = model.tokens(4, 700);
        for cpu in tiers() {
            let whole = bits(&model.attend(cpu, &teams[0], &qkv, &[700]));
            for most in [1, 5, 60, 300] {
                let chunks = random_chunks(&mut random, 700, most);
                let team = &teams[random.random_range(0..teams.len())];
                let found = model.attend(cpu, team, &qkv, &chunks);
                let what = format!("{cpu:?}, {heads}/{kv_heads} heads of {dim}, {chunks:?}");
                assert!(bits(&found) == whole, "{what}");
            }
        }
    }
}

#[test]
fn a_tokens_bits_do_not_depend_on_the_texts_beside_it() {
    let teams = [Team::alone(), Team::new(3).unwrap()];
    let mut random = StdRng::seed_from_u64(12);
    for (heads, kv_heads, dim, window) in [(9, 3, 64, None), (4, 2, 16, Some(90))] {
        let model = Model {
            heads,
            kv_heads,
            dim,
            window,
        };
        let texts: Vec<Vec<f32>> = (0..6)
            .map(|text| model.tokens(20 + text, [1, 40, 130, 256, 300, 420][text as usize]))
            .collect();
        for cpu in tiers() {
            let alone = |text: &Vec<f32>| {
                let tokens = text.len() / model.stride();
                bits(&model.attend(cpu, &teams[0], text, &[tokens]))
            };
            let expected: Vec<_> = texts.iter().map(alone).collect();
            let mut caches: Vec<_> = texts.iter().map(|_| model.cache()).collect();
            let mut found = vec![Vec::new(); texts.len()];
            while caches
                .iter()
                .zip(&texts)
                .any(|(cache, text)| left(model, cache, text) > 0)
            {
                let mut parts = Vec::new();
                for (number, (cache, text)) in caches.iter_mut().zip(&texts).enumerate() {
                    let most =
                        [1, 1, 3, 150][random.random_range(0..4)].min(left(model, cache, text));
                    // Some wait, and some are in the call with no token.
                    if random.random_range(0..3) > 0 {
                        let rows = &text[cache.len() * model.stride()..][..most * model.stride()];
                        parts.push((number, cache, rows));
                    }
                }
                let order: Vec<_> = parts
                    .iter()
                    .map(|(number, _, rows)| (*number, rows.len()))
                    .collect();
                let mut parts: Vec<_> = parts
                    .into_iter()
                    .map(|(_, cache, rows)| (cache, rows))
                    .collect();
                let team = &teams[random.random_range(0..teams.len())];
                let out = model.read_together(cpu, team, &mut parts);
                let mut rest = out.as_slice();
                for (number, length) in order {
                    let (rows, others) = rest.split_at(length / model.stride() * model.width());
                    found[number].extend(bits(rows));
                    rest = others;
                }
            }
            assert!(found == expected, "{cpu:?}");
        }
    }
}

/// Tokens of a text that its cache has not read.
fn left(model: Model, cache: &KeyValueCache, text: &[f32]) -> usize {
    text.len() / model.stride() - cache.len()
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let (one, three) = (Team::alone(), Team::new(3).unwrap());
    let model = Model {
        heads: 9,
        kv_heads: 3,
        dim: 64,
        window: None,
    };
    let qkv = model.tokens(5, 700);
    let segments = random(6, 400 * 3 * 96);
    for cpu in tiers() {
        let chunks = [600, 95, 1, 1, 3];
        let alone = model.attend(cpu, &one, &qkv, &chunks);
        assert!(alone == model.attend(cpu, &three, &qkv, &chunks), "{cpu:?}");
        let attend = |team| {
            let mut out = vec![f32::NAN; 400 * 96];
            segment_attention_on(cpu, team, &segments, 3, 32, &[300, 100], 0.3, &mut out).unwrap();
            out
        };
        assert!(attend(&one) == attend(&three), "{cpu:?}: segments");
    }
}

#[test]
fn a_truncated_cache_goes_on_as_if_it_had_never_had_the_rest() {
    let team = Team::alone();
    let model = Model {
        heads: 3,
        kv_heads: 1,
        dim: 18,
        window: None,
    };
    let (qkv, other) = (model.tokens(7, 290), model.tokens(8, 290));
    for cpu in tiers() {
        for kept in [0, 1, 17, 125, 128, 129, 250, 256, 257] {
            let (first, last) = qkv.split_at(kept * model.stride());
            let mut cache = model.cache();
            model.read(cpu, &team, &mut cache, first);
            model.read(cpu, &team, &mut cache, &other);
            cache.truncate(1000);
            assert_eq!(cache.len(), kept + 290, "there is nothing to forget");
            cache.truncate(kept);
            assert_eq!(cache.len(), kept);
            assert_eq!(cache.is_empty(), kept == 0);
            let found = model.read(cpu, &team, &mut cache, last);
            let expected = model.attend(cpu, &team, &qkv, &[kept, 290 - kept]);
            assert!(
                found == expected[kept * model.width()..],
                "{cpu:?}: kept {kept}"
            );
        }
    }
}

#[test]
fn extreme_scores_neither_overflow_nor_lose_the_winner() {
    let team = Team::alone();
    let model = Model {
        heads: 1,
        kv_heads: 1,
        dim: 2,
        window: None,
    };
    for cpu in tiers() {
        for (length, chunks) in [(40, vec![40]), (300, vec![299, 1])] {
            // Every key but one gives a score far below; values beyond half precision saturate.
            let mut qkv = [200.0, 0.0, -6e4, 0.0, 1.0, 1e-7].repeat(length);
            qkv[7 * 6 + 2..8 * 6].copy_from_slice(&[6e4, 0.0, 1e9, -1e9]);
            let found = model.attend(cpu, &team, &qkv, &chunks);
            assert_eq!(found[0], 1.0, "{cpu:?}");
            assert!(
                (found[1] - 1e-7).abs() < 4e-8,
                "{cpu:?}: halves' denormals are kept"
            );
            let last = &found[(length - 1) * 2..];
            assert_eq!(last, [65504.0, -65504.0], "{cpu:?}");
        }
    }
}

#[test]
fn infinities_and_nan_come_back_without_a_panic_and_stay_in_their_token() {
    let team = Team::new(2).unwrap();
    let model = Model {
        heads: 3,
        kv_heads: 1,
        dim: 16,
        window: None,
    };
    for cpu in tiers() {
        for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut qkv = model.tokens(9, 100);
            let clean = model.attend(cpu, &team, &qkv, &[99, 1]);
            // A poisoned query, and a poisoned key that only later tokens look at.
            qkv[20 * model.stride()..][..model.width()].fill(poison);
            qkv[50 * model.stride() + model.width()..][..16].fill(poison);
            let found = model.attend(cpu, &team, &qkv, &[99, 1]);
            for token in (0..50).filter(|token| *token != 20) {
                let row = token * model.width()..(token + 1) * model.width();
                assert!(
                    found[row.clone()] == clean[row],
                    "{cpu:?} {poison} token {token}"
                );
            }
            if poison.is_nan() {
                assert!(found[20 * model.width()].is_nan(), "{cpu:?}");
                assert!(found[99 * model.width()].is_nan(), "{cpu:?}");
            }
        }
    }
}

pub(super) fn segments_in_f64(
    qkv: &[f32],
    heads: usize,
    dim: usize,
    lengths: &[usize],
    scale: f32,
) -> Vec<f64> {
    let rows: Vec<&[f32]> = qkv.chunks(3 * heads * dim).collect();
    let (mut out, mut start) = (Vec::new(), 0);
    for length in lengths {
        let text = &rows[start..start + length];
        start += length;
        for row in text {
            for head in 0..heads {
                let part = |row: &[f32], part: usize| -> Vec<f64> {
                    let part = &row[(part * heads + head) * dim..][..dim];
                    part.iter().map(|x| f64::from(*x)).collect()
                };
                let keys: Vec<_> = text.iter().map(|row| part(row, 1)).collect();
                let values: Vec<_> = text.iter().map(|row| part(row, 2)).collect();
                let query = &row[head * dim..][..dim];
                out.extend(attention_in_f64(query, &keys, &values, scale));
            }
        }
    }
    out
}

#[test]
fn texts_attend_within_themselves_on_every_tier() {
    let team = Team::new(2).unwrap();
    for (heads, dim) in [(1, 2), (3, 6), (12, 32), (2, 64), (2, 50), (1, 128)] {
        for lengths in [
            &[1][..],
            &[5],
            &[16],
            &[17, 0, 1],
            &[63, 64, 65],
            &[129],
            &[3, 4, 5, 6, 7],
            &[250],
        ] {
            let tokens: usize = lengths.iter().sum();
            let qkv = random(10, tokens * 3 * heads * dim);
            let scale = 3.0 / (dim as f32).sqrt();
            let truth = segments_in_f64(&qkv, heads, dim, lengths, scale);
            for cpu in tiers() {
                let mut out = vec![f32::NAN; tokens * heads * dim];
                segment_attention_on(cpu, &team, &qkv, heads, dim, lengths, scale, &mut out)
                    .unwrap();
                assert_near(
                    &out,
                    &truth,
                    &format!("{cpu:?}: {heads} of {dim}, {lengths:?}"),
                );
            }
        }
    }
}

#[test]
fn a_texts_result_does_not_depend_on_its_neighbours() {
    let team = Team::alone();
    let qkv = random(11, 90 * 3 * 64);
    for cpu in tiers() {
        let mut out = vec![f32::NAN; 90 * 64];
        segment_attention_on(cpu, &team, &qkv, 2, 32, &[20, 70], 0.2, &mut out).unwrap();
        let mut alone = vec![f32::NAN; 70 * 64];
        let text = &qkv[20 * 3 * 64..];
        segment_attention_on(cpu, &team, text, 2, 32, &[70], 0.2, &mut alone).unwrap();
        assert!(out[20 * 64..] == alone, "{cpu:?}");
    }
}

#[test]
fn nothing_to_do_is_no_error_and_misfits_are() {
    let team = Team::alone();
    let (values, mut out) = (vec![1.0; 4 * 12], vec![9.0; 4 * 8]);
    assert!(Rows::new(&values, 0, 0, 0).is_err());
    assert!(Rows::new(&values, 12, 5, 8).is_err());
    assert!(Rows::new(&values, 12, usize::MAX, 8).is_err());
    assert!(Rows::new(&values, 13, 0, 8).is_err());
    let queries = Rows::new(&values, 12, 0, 8).unwrap();
    let keys = Rows::new(&values, 12, 8, 4).unwrap();
    assert_eq!((queries.count(), queries.width()), (4, 8));
    let pool = |kv_heads, head_dim| {
        PagePool::new(CacheShape {
            layers: 1,
            kv_heads,
            head_dim,
        })
    };
    let mut cache = KeyValueCache::new(&pool(1, 4));
    let mut step = cache.begin(4);
    assert!(step.extend(0, queries, keys).is_err());
    assert!(step.extend(0, keys, queries).is_err());
    assert!(step.extend(0, keys, Rows::whole(&[], 4).unwrap()).is_err());
    assert!(step.extend(0, keys.part(1, 3).unwrap(), keys).is_err());
    assert!(keys.part(1, 4).is_err() && keys.part(usize::MAX, 2).is_err());
    let call = |step: &CacheStep<'_>, queries: Rows<'_>, heads, tokens, out: &mut [f32]| {
        let attention = CausalAttention {
            layer: 0,
            heads,
            scale: 1.0,
            window: None,
        };
        let sequence = Sequence { step, tokens };
        super::causal_attention(&team, attention, queries, &[sequence], out)
    };
    let no_layer = Error::OutOfRange {
        argument: "layer",
        index: 0,
        count: 0,
    };
    assert_eq!(call(&step, queries, 2, 4, &mut out), Err(no_layer));
    step.extend(0, keys, keys).unwrap();
    assert_eq!(out, [9.0; 32], "a refused call changes nothing");
    assert_eq!(call(&step, queries, 2, 4, &mut out), Ok(()));
    out.fill(9.0);
    assert!(call(&step, queries, 3, 4, &mut out).is_err());
    assert!(call(&step, queries, 2, 4, &mut out[1..]).is_err());
    assert!(call(&step, queries, 2, 3, &mut out).is_err());
    let many = vec![1.0; 5 * 8];
    assert_eq!(
        call(&step, Rows::whole(&many, 8).unwrap(), 2, 5, &mut [0.0; 40]),
        Err(Error::Length {
            argument: "queries",
            expected: 4,
            received: 5
        })
    );
    let none = Rows::whole(&[], 8).unwrap();
    assert_eq!(call(&step, none, 2, 0, &mut []), Ok(()));
    assert_eq!(step.finish(), Ok(()));
    assert_eq!(cache.len(), 4);
    let most = usize::MAX;
    let none = Rows::new(&[], most, 0, most).unwrap();
    let mut absurd = KeyValueCache::new(&pool(most, 2));
    let mut step = absurd.begin(0);
    assert_eq!(
        (step.extend(0, none, none), step.finish()),
        (Ok(()), Ok(()))
    );
    let mut two = KeyValueCache::new(&pool(2, 4));
    let none = Rows::whole(&[], 12).unwrap();
    assert!(call(&two.begin(0), none, 3, 0, &mut []).is_err());
    let segment = |heads, lengths: &[usize], out: &mut [f32]| {
        super::segment_attention(&team, &values, heads, 4, lengths, 1.0, out)
    };
    assert!(segment(2, &[4], &mut out).is_err());
    assert!(segment(1, &[3], &mut out[..16]).is_err());
    assert!(segment(1, &[usize::MAX, 5], &mut out[..16]).is_err());
    assert!(segment(0, &[4], &mut out[..16]).is_err());
    assert_eq!(out, [9.0; 32], "a refused call changes nothing");
    assert_eq!(segment(1, &[4], &mut out[..16]), Ok(()));
    assert_eq!(
        super::segment_attention(&team, &[], 2, 4, &[0, 0], 1.0, &mut []),
        Ok(())
    );
}
