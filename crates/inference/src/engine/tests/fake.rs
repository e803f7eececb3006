//! A model whose next token follows from the tokens that it has read, and which counts its memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_channel::Receiver;

use super::super::*;
use crate::error::ComputeError;

pub(super) const VOCABULARY: usize = 256;
pub(super) const PANICS: u32 = 200;
pub(super) const FAILS: u32 = 210;
pub(super) const OVERFLOWS: u32 = 220;
pub(super) const END: u32 = 250;
pub(super) const CONTEXT: usize = 4096;

/// What comes after some tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    /// After token `t` comes `t + 1`; some tokens misbehave.
    Successor,
    /// After token `t` comes `t + 1`, and `a` after `z`: a text that repeats itself.
    Alphabet,
    /// All tokens so far count, so that an answer shows whether the cache held the right ones.
    Hash,
}

pub(super) struct Fake {
    pub(super) rule: Rule,
    /// Calls so far.
    pub(super) calls: Arc<AtomicUsize>,
    /// Tokens of all calls.
    pub(super) tokens: Arc<AtomicUsize>,
    /// The most tokens that a call had.
    pub(super) most: Arc<AtomicUsize>,
    /// Blocks that there are.
    pub(super) blocks: Arc<AtomicUsize>,
    /// Each call waits for a permit, if there are permits.
    pub(super) permits: Option<Receiver<()>>,
}

pub(super) struct FakeBlock {
    tokens: Vec<u32>,
    count: Arc<AtomicUsize>,
}

impl FakeBlock {
    fn new(tokens: Vec<u32>, count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self {
            tokens,
            count: Arc::clone(count),
        }
    }
}

impl Clone for FakeBlock {
    fn clone(&self) -> Self {
        Self::new(self.tokens.clone(), &self.count)
    }
}

impl Drop for FakeBlock {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) struct FakeCache {
    blocks: Vec<Arc<FakeBlock>>,
    len: usize,
    count: Arc<AtomicUsize>,
}

impl FakeCache {
    fn push(&mut self, token: u32) {
        let (block, place) = (self.len / BLOCK_TOKENS, self.len % BLOCK_TOKENS);
        if block == self.blocks.len() {
            let empty = FakeBlock::new(Vec::new(), &self.count);
            self.blocks.push(Arc::new(empty));
        }
        let tokens = &mut Arc::make_mut(&mut self.blocks[block]).tokens;
        tokens.truncate(place);
        tokens.push(token);
        self.len += 1;
    }

    fn tokens(&self) -> Vec<u32> {
        let mut tokens: Vec<u32> = Vec::new();
        for block in &self.blocks {
            tokens.extend(&block.tokens);
        }
        tokens.truncate(self.len);
        assert_eq!(tokens.len(), self.len, "a block in the middle is not full");
        tokens
    }
}

impl TokenCache for FakeCache {
    type Block = Arc<FakeBlock>;

    fn len(&self) -> usize {
        self.len
    }

    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.blocks.truncate(self.len.div_ceil(BLOCK_TOKENS));
    }

    fn block(&self, index: usize) -> Result<Arc<FakeBlock>, ComputeError> {
        Ok(Arc::clone(&self.blocks[index]))
    }

    fn adopt(&mut self, blocks: Vec<Arc<FakeBlock>>, len: usize) -> Result<(), ComputeError> {
        assert_eq!((self.len, blocks.len()), (0, len.div_ceil(BLOCK_TOKENS)));
        (self.blocks, self.len) = (blocks, len);
        Ok(())
    }
}

impl LanguageModel for Fake {
    type Cache = FakeCache;

    fn new_cache(&self, _: usize) -> FakeCache {
        FakeCache {
            blocks: Vec::new(),
            len: 0,
            count: Arc::clone(&self.blocks),
        }
    }

    fn cache_kind(&self, _: usize) -> u64 {
        0
    }

    fn step(&self, parts: &mut [Part<'_, FakeCache>]) -> Result<Vec<f32>, ComputeError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let tokens = parts.iter().map(|part| part.tokens.len()).sum();
        self.tokens.fetch_add(tokens, Ordering::SeqCst);
        self.most.fetch_max(tokens, Ordering::SeqCst);
        if let Some(permits) = &self.permits {
            let _ = permits.recv_blocking();
        }
        let mut logits = Vec::new();
        for part in parts {
            assert!(!part.tokens.is_empty() && part.logits <= part.tokens.len());
            let silent = part.tokens.len() - part.logits;
            for (number, token) in part.tokens.iter().enumerate() {
                part.cache.push(*token);
                if number >= silent {
                    logits.extend(self.logits(part.cache)?);
                }
            }
        }
        Ok(logits)
    }

    fn block_bytes(&self) -> usize {
        1
    }

    fn cache_bytes(&self) -> usize {
        self.blocks.load(Ordering::SeqCst)
    }

    fn weight_bytes(&self) -> usize {
        1000
    }
}

impl Fake {
    fn logits(&self, cache: &FakeCache) -> Result<Vec<f32>, ComputeError> {
        let tokens = cache.tokens();
        let last = tokens[tokens.len() - 1];
        let mut logits = vec![0.0; VOCABULARY];
        match self.rule {
            Rule::Hash => hashed(&tokens, &mut logits),
            Rule::Alphabet if last == u32::from(b'z') => logits[usize::from(b'a')] = 1.0,
            _ => logits[(last as usize + 1) % VOCABULARY] = 1.0,
        }
        if self.rule == Rule::Successor {
            match last {
                PANICS => panic!("token {PANICS}"),
                FAILS => return Err(format!("token {FAILS}").into()),
                OVERFLOWS => logits[0] = f32::NAN,
                _ => (),
            }
        }
        Ok(logits)
    }
}

/// Letters whose order of likelihood depends on all tokens.
fn hashed(tokens: &[u32], logits: &mut [f32]) {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for token in tokens {
        state = (state ^ u64::from(*token)).wrapping_mul(0x0100_0000_01b3);
    }
    for letter in b'a'..=b'h' {
        state = (state ^ u64::from(letter)).wrapping_mul(0x0100_0000_01b3);
        logits[usize::from(letter)] = 4.0 + (state >> 40) as f32 / (1 << 22) as f32;
    }
}

pub(super) struct Bytes(pub(super) Vec<[u8; 1]>);

impl TokenText for Bytes {
    fn vocabulary(&self) -> usize {
        self.0.len()
    }

    fn token_bytes(&self, token: u32) -> &[u8] {
        &self.0[token as usize]
    }

    fn is_end(&self, token: u32) -> bool {
        token == END
    }
}
