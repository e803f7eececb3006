//! The encoder (Devlin et al. 2018; RoBERTa: Liu et al. 2019) on the processor, over our own kernels.
//!
//! Texts lie one after another without padding: products and norms see rows of tokens, and attention
//! knows where a text ends. Texts are grouped so that a group's states stay near a core.
//! With groups enough, each thread takes whole groups and never waits for another; with fewer, all
//! threads share the rows of each.

mod layer;
mod linear;
mod norm;
mod scratch;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use longtrainer_kernels::{Team, add};

use crate::Result;
use crate::error::ComputeError;
use crate::tensor_blocks::WeightSource;

use super::folder::{BertConfig, ModelFolder};
use super::options::Precision;
use super::pooling::Pooling;
use super::weights::Weights;

use layer::Layer;
use norm::LayerNorm;
use scratch::Scratch;

/// Tokens of a group at most, unless one text has more. Measured with the default model on a processor
/// with 1 MiB of second-level cache: half as many unpack the weights too often, and more gain nothing.
const GROUP_TOKENS: usize = 256;

/// The encoder.
#[derive(Debug)]
pub(super) struct KernelBert {
    team: Arc<Team>,
    words: Vec<f32>,
    /// Position and token type together: every token of a text has type 0.
    positions: Vec<f32>,
    norm: LayerNorm,
    layers: Vec<Layer>,
    pooling: Pooling,
    hidden: usize,
    scratch: Mutex<Vec<Scratch>>,
}

/// Texts that go through the encoder together: their places in the request.
type Group = std::ops::Range<usize>;

impl KernelBert {
    /// Reads the weights of a folder.
    pub(super) fn load(
        folder: &ModelFolder,
        team: Arc<Team>,
        precision: Precision,
    ) -> Result<Self> {
        let config = &folder.config;
        let weights = Weights::read(folder)?;
        let hidden = config.hidden_size;
        let words = "embeddings.word_embeddings.weight";
        let layers = 0..config.num_hidden_layers;
        Ok(Self {
            words: weights.values(words, &[config.vocab_size, hidden])?,
            positions: load_positions(config, &weights)?,
            norm: LayerNorm::load(config, &weights, "embeddings.LayerNorm")?,
            layers: layers
                .map(|index| Layer::load(config, &weights, &team, precision, index))
                .collect::<Result<_>>()?,
            pooling: folder.pooling,
            hidden,
            scratch: Mutex::default(),
            team,
        })
    }

    /// Components of a vector.
    pub(super) fn dimension(&self) -> usize {
        self.hidden
    }

    /// Memory of the weights, and of the buffers that are kept between texts.
    pub(super) fn memory_bytes(&self) -> usize {
        let tables = size_of_val(&*self.words) + size_of_val(&*self.positions);
        let layers: usize = self.layers.iter().map(Layer::bytes).sum();
        let kept = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: usize = kept.iter().map(Scratch::bytes).sum();
        tables + self.norm.bytes() + layers + kept
    }

    /// The vector of each text, of unit length.
    pub(super) fn embed(&self, texts: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, ComputeError> {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        // Long texts first, so that no thread begins one when the others are done.
        order.sort_by_key(|text| std::cmp::Reverse(texts[*text].len()));
        let sorted: Vec<&[u32]> = order.iter().map(|text| texts[*text].as_slice()).collect();
        let groups = groups(&sorted);
        let embedded: Vec<OnceLock<Result<Vec<Vec<f32>>, ComputeError>>> =
            groups.iter().map(|_| OnceLock::new()).collect();
        let encode = |index: usize| {
            let _ = embedded[index].set(self.embed_group(&sorted[groups[index].clone()]));
        };
        if groups.len() < self.team.threads() {
            (0..groups.len()).for_each(encode);
        } else {
            self.team.run(groups.len(), encode);
        }
        let mut vectors = vec![Vec::new(); texts.len()];
        for (group, embedded) in groups.into_iter().zip(embedded) {
            let embedded = embedded
                .into_inner()
                .unwrap_or_else(|| Err("a group was left out".into()))?;
            for (place, vector) in group.zip(embedded) {
                vectors[order[place]] = vector;
            }
        }
        Ok(vectors)
    }

    fn embed_group(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>, ComputeError> {
        let mut scratch = self.take_scratch();
        let vectors = self.encode(texts, &mut scratch);
        self.scratch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(scratch);
        vectors
    }

    fn take_scratch(&self) -> Scratch {
        let mut kept = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        kept.pop().unwrap_or_default()
    }

    fn encode(
        &self,
        texts: &[&[u32]],
        scratch: &mut Scratch,
    ) -> Result<Vec<Vec<f32>>, ComputeError> {
        let lengths: Vec<usize> = texts.iter().map(|text| text.len()).collect();
        self.look_up(texts, &mut scratch.states)?;
        self.norm.forward(&self.team, &mut scratch.states)?;
        for layer in &self.layers {
            layer.forward(&self.team, &lengths, scratch)?;
        }
        let mut first = 0;
        let vectors = lengths.iter().map(|length| {
            let states = &scratch.states[first * self.hidden..(first + length) * self.hidden];
            first += length;
            self.pooling.pool(states, self.hidden)
        });
        Ok(vectors.collect())
    }

    fn look_up(&self, texts: &[&[u32]], states: &mut Vec<f32>) -> Result<(), ComputeError> {
        let hidden = self.hidden;
        states.clear();
        for text in texts {
            let positions = self.positions.get(..text.len() * hidden).ok_or_else(|| {
                let most = self.positions.len() / hidden;
                format!(
                    "a text has {} tokens, but the model has {most} positions",
                    text.len()
                )
            })?;
            let first = states.len();
            for token in *text {
                let start = *token as usize * hidden;
                let word = self.words.get(start..start + hidden);
                let word = word.ok_or_else(|| format!("the model has no token {token}"))?;
                states.extend_from_slice(word);
            }
            add(&mut states[first..], positions)?;
        }
        Ok(())
    }
}

/// Neighbouring texts until there are tokens enough.
fn groups(texts: &[&[u32]]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut tokens = 0;
    for (place, text) in texts.iter().enumerate() {
        tokens += text.len();
        match groups.last_mut() {
            Some(group) if tokens <= GROUP_TOKENS => group.end = place + 1,
            _ => {
                groups.push(place..place + 1);
                tokens = text.len();
            }
        }
    }
    groups
}

/// Rows from the first position on, with the row of token type 0 added.
fn load_positions(config: &BertConfig, weights: &Weights) -> Result<Vec<f32>> {
    let name = "embeddings.position_embeddings.weight";
    let hidden = config.hidden_size;
    let rows = config.max_position_embeddings;
    let mut positions = weights.values(name, &[rows, hidden])?;
    positions.drain(..config.first_position().min(rows) * hidden);
    if config.type_vocab_size > 0 {
        let name = "embeddings.token_type_embeddings.weight";
        let types = weights.values(name, &[config.type_vocab_size, hidden])?;
        for row in positions.chunks_exact_mut(hidden) {
            row.iter_mut()
                .zip(&types)
                .for_each(|(value, kind)| *value += kind);
        }
    }
    Ok(positions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_cover_all_texts_in_order_and_stay_small() {
        let lengths = [300, 128, 100, 28, 1, 64, 64, 64, 0, 3];
        let texts: Vec<Vec<u32>> = lengths.iter().map(|length| vec![0; *length]).collect();
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let groups = groups(&texts);
        assert_eq!(groups, [0..1, 1..4, 4..10]);
        assert!(super::groups(&[]).is_empty());
    }
}
