//! Caches that share pages: what one writes, another never sees, and memory is counted once.

use std::sync::Arc;

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{CacheShape, CausalAttention, KeyValueCache, PAGE_TOKENS, PagePool, Rows, Sequence};
use crate::{Error, Team, causal_attention};

const SHAPE: CacheShape = CacheShape {
    layers: 3,
    kv_heads: 2,
    head_dim: 6,
};
/// Values of a row of keys.
const WIDTH: usize = 12;
/// A page's memory: values are filled up to 16.
const PAGE_BYTES: usize = 3 * 2 * PAGE_TOKENS * (6 + 16) * 2;

/// A key, or a value, of a layer that depends on all tokens before it, as a model's do.
fn row(layer: usize, tokens: &[u32]) -> impl Iterator<Item = f32> {
    let mut seed = layer as u64;
    for token in tokens {
        seed = (seed ^ u64::from(*token)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        seed ^= seed >> 29;
    }
    let mut random = StdRng::seed_from_u64(seed);
    (0..WIDTH).map(move |_| random.random_range(-2.0..2.0))
}

/// A cache and the tokens that it has read.
#[derive(Clone)]
struct Text {
    cache: KeyValueCache,
    tokens: Vec<u32>,
}

impl Text {
    fn new(pool: &Arc<PagePool>) -> Self {
        Self {
            cache: KeyValueCache::new(pool),
            tokens: Vec::new(),
        }
    }

    /// Reads tokens; the outputs of the layers.
    fn read(&mut self, tokens: &[u32]) -> Vec<Vec<u32>> {
        let mut step = self.cache.begin(tokens.len());
        let mut outputs = Vec::new();
        self.tokens.extend(tokens);
        for layer in 0..SHAPE.layers {
            let ends = self.tokens.len() - tokens.len() + 1..=self.tokens.len();
            let rows: Vec<f32> = ends
                .flat_map(|end| row(layer, &self.tokens[..end]))
                .collect();
            let rows = Rows::whole(&rows, WIDTH).unwrap();
            step.extend(layer, rows, rows).unwrap();
            let attention = CausalAttention {
                layer,
                heads: 2,
                scale: 0.7,
                window: None,
            };
            let sequence = Sequence {
                step: &step,
                tokens: tokens.len(),
            };
            let mut out = vec![f32::NAN; tokens.len() * WIDTH];
            causal_attention(&Team::alone(), attention, rows, &[sequence], &mut out).unwrap();
            outputs.push(out.iter().map(|value| value.to_bits()).collect());
        }
        step.finish().unwrap();
        outputs
    }

    fn truncate(&mut self, len: usize) {
        self.cache.truncate(len);
        self.tokens.truncate(len);
    }

    /// Another text that begins with the first `len` tokens of this one.
    fn fork(&self, len: usize) -> Self {
        let pages = 0..len.div_ceil(PAGE_TOKENS);
        let pages = pages.map(|index| self.cache.page(index).unwrap()).collect();
        let mut fork = Self::new(self.cache.pool());
        fork.cache.adopt(pages, len).unwrap();
        fork.tokens.extend(&self.tokens[..len]);
        fork
    }

    /// That the next token gives what it would give after the same text in a cache of its own.
    fn check(&self) {
        let mut fork = self.fork(self.tokens.len());
        let mut fresh = Text::new(&PagePool::new(SHAPE));
        fresh.read(&self.tokens);
        assert_eq!(fork.read(&[7]), fresh.read(&[7]));
    }
}

#[test]
fn forks_and_their_origins_never_disturb_each_other() {
    let mut random = StdRng::seed_from_u64(1);
    let pool = PagePool::new(SHAPE);
    let mut texts = vec![Text::new(&pool)];
    for round in 0..300 {
        let count = texts.len();
        let number = random.random_range(0..count);
        let text = &mut texts[number];
        let len = text.tokens.len();
        match random.random_range(0..10) {
            0..4 => {
                let most = [1, 2, 17, 128, 150][random.random_range(0..5)];
                let tokens: Vec<u32> = (0..most).map(|_| random.random_range(0..9)).collect();
                text.read(&tokens);
            }
            4..6 => text.truncate(random.random_range(0..=len)),
            6 => {
                // A step that fails after its first layer.
                let rows = vec![5.0; 3 * WIDTH];
                let rows = Rows::whole(&rows, WIDTH).unwrap();
                let mut step = text.cache.begin(3);
                step.extend(0, rows, rows).unwrap();
                drop(step);
                assert_eq!(text.cache.len(), len);
            }
            7 if count > 4 => drop(texts.swap_remove(number)),
            8 => {
                let clone = text.clone();
                texts.push(clone);
            }
            _ => {
                let fork = text.fork(random.random_range(0..=len));
                texts.push(fork);
            }
        }
        if round % 10 == 9 {
            texts.iter().for_each(Text::check);
        }
    }
    assert!(pool.bytes() > 0);
    drop(texts);
    assert_eq!(pool.bytes(), 0);
}

#[test]
fn memory_is_counted_once_and_until_the_last_holder_lets_go() {
    let pool = PagePool::new(SHAPE);
    assert_eq!((pool.page_bytes(), pool.bytes()), (PAGE_BYTES, 0));
    let mut text = Text::new(&pool);
    for (add, pages) in [(1, 1), (127, 1), (1, 2), (129, 3)] {
        text.read(&vec![1; add]);
        assert_eq!(pool.bytes(), pages * PAGE_BYTES, "after {add} more");
    }
    let mut fork = text.fork(200);
    assert_eq!(pool.bytes(), 3 * PAGE_BYTES, "all are shared");
    fork.read(&[2]);
    assert_eq!(
        pool.bytes(),
        4 * PAGE_BYTES,
        "the page that is written to was copied"
    );
    fork.read(&[2]);
    assert_eq!(pool.bytes(), 4 * PAGE_BYTES, "once");
    text.truncate(256);
    assert_eq!(pool.bytes(), 3 * PAGE_BYTES);
    let handle = fork.cache.page(1).unwrap();
    assert_eq!(handle.filled(), 202 - 128);
    drop((text, fork));
    assert_eq!(pool.bytes(), PAGE_BYTES);
    drop(handle);
    assert_eq!(pool.bytes(), 0);
}

#[test]
fn a_step_that_does_not_finish_gives_its_pages_back() {
    let pool = PagePool::new(SHAPE);
    let mut cache = KeyValueCache::new(&pool);
    let step = cache.begin(300);
    assert_eq!(
        (step.count(), step.end(), pool.bytes()),
        (300, 300, 3 * PAGE_BYTES)
    );
    assert!(step.finish().is_err(), "no layer was filled");
    assert_eq!((cache.len(), cache.is_empty(), pool.bytes()), (0, true, 0));
    let rows = Rows::whole(&[1.0; WIDTH], WIDTH).unwrap();
    let mut step = cache.begin(1);
    assert!(step.extend(1, rows, rows).is_err(), "layer 0 is next");
    step.extend(0, rows, rows).unwrap();
    assert!(step.extend(0, rows, rows).is_err(), "layer 1 is next");
    step.extend(1, rows, rows).unwrap();
    step.extend(2, rows, rows).unwrap();
    assert!(step.extend(3, rows, rows).is_err(), "there is none");
    step.finish().unwrap();
    assert_eq!((cache.len(), pool.bytes()), (1, PAGE_BYTES));
}

#[test]
fn pages_that_do_not_fit_are_refused() {
    let pool = PagePool::new(SHAPE);
    let mut text = Text::new(&pool);
    text.read(&[3; 150]);
    assert!(text.cache.page(2).is_err());
    let pages = || vec![text.cache.page(0).unwrap(), text.cache.page(1).unwrap()];
    let mut other = KeyValueCache::new(&pool);
    let unfilled = Error::Length {
        argument: "a page",
        expected: 23,
        received: 22,
    };
    assert_eq!(other.adopt(pages(), 151), Err(unfilled));
    assert!(other.adopt(pages(), 128).is_err(), "one page is enough");
    assert!(other.adopt(pages(), 257).is_err(), "two are not enough");
    assert!(other.adopt(pages(), 0).is_err(), "none is needed");
    let mut foreign = KeyValueCache::new(&PagePool::new(SHAPE));
    let refused = foreign.adopt(pages(), 150);
    assert_eq!(refused, Err(Error::ForeignPage { page: 0 }));
    assert!(other.is_empty() && foreign.is_empty());
    other.adopt(pages(), 129).unwrap();
    assert_eq!(other.len(), 129);
    assert!(other.adopt(Vec::new(), 0).is_err(), "it is not empty");
}
