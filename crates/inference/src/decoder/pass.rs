//! A pass: tokens are looked up, and go through the blocks together.

use candle_core::{Result, Tensor};

use super::step::{Step, StepModel, one_after_another, row_order};
use super::{Decoder, KvCache, failed};
use crate::engine::Part;
use crate::soft::{self, SoftSpan, is_soft};

impl Decoder {
    /// Passes the tokens of all parts through the blocks together: (tokens, hidden), part by part.
    pub(super) fn hidden(&self, parts: &mut [Part<'_, KvCache>]) -> Result<Tensor> {
        let _turn = self.pool.turn();
        for part in &mut *parts {
            part.cache.reserve(part.tokens.len())?;
        }
        let order = row_order(parts);
        let ordered: Vec<&Part<'_, KvCache>> = order.iter().map(|index| &parts[*index]).collect();
        let mut hidden = self.look_up_all(&ordered)?;
        let step = Step::new(ordered, self.pool.tensors(), self.step_model())?;
        for (index, block) in self.blocks.iter().enumerate() {
            hidden = block.forward(hidden, &step, index)?;
        }
        let hidden = self.in_order_of_parts(hidden, &order, &step)?;
        for part in parts {
            part.cache.advance(part.tokens.len());
        }
        Ok(hidden)
    }

    fn step_model(&self) -> StepModel<'_> {
        let window = self.config.window.as_ref();
        StepModel {
            rotary: &self.rotary,
            window: window.map(|window| window.tokens),
            kv_heads: self.config.kv_heads,
            head_dim: self.config.head_dim,
            device: &self.device,
            fused: &self.fused,
            attends: self.fused.attends(self.config.head_dim, self.compute.cache),
        }
    }

    /// Rows that lie in the order of a step, in that of its parts.
    fn in_order_of_parts(&self, rows: Tensor, order: &[usize], step: &Step<'_>) -> Result<Tensor> {
        if order.is_sorted() {
            return Ok(rows);
        }
        let mut parts: Vec<_> = order.iter().zip(step.parts()).collect();
        parts.sort_by_key(|(index, _)| **index);
        let numbers = parts
            .into_iter()
            .flat_map(|(_, part)| part.start as u32..(part.start + part.count) as u32);
        let numbers: Vec<u32> = numbers.collect();
        rows.index_select(&Tensor::new(numbers, &self.device)?, 0)
    }

    /// What the tokens of all parts are looked up as, in one call if all are words: (tokens, hidden).
    fn look_up_all(&self, parts: &[&Part<'_, KvCache>]) -> Result<Tensor> {
        let tokens = || parts.iter().flat_map(|part| part.tokens.iter().copied());
        if !tokens().any(is_soft) {
            return self.embed(&tokens().collect::<Vec<u32>>());
        }
        let rows = parts.iter().map(|part| self.look_up(part));
        one_after_another(rows.collect::<Result<Vec<_>>>()?)
    }

    /// The embeddings of words, and the rows of soft tokens, run by run: (tokens, hidden).
    fn look_up(&self, part: &Part<'_, KvCache>) -> Result<Tensor> {
        let runs = part
            .tokens
            .chunk_by(|one, next| is_soft(*one) == is_soft(*next));
        let runs = runs.map(|run| match is_soft(run[0]) {
            true => self.soft_rows(run, part.soft),
            false => self.embed(run),
        });
        one_after_another(runs.collect::<Result<Vec<Tensor>>>()?)
    }

    fn embed(&self, words: &[u32]) -> Result<Tensor> {
        let ids = Tensor::new(words, &self.device)?;
        let embedded = self.embedding.index_select(&ids, 0)?;
        let embedded = embedded.to_dtype(self.compute.states)?;
        match self.config.embedding_scale {
            Some(scale) => embedded * f64::from(scale),
            None => Ok(embedded),
        }
    }

    /// What a word is looked up as.
    #[cfg(test)]
    pub(crate) fn embedded(&self, word: u32) -> Result<Vec<f32>> {
        self.embed(&[word])?
            .flatten_all()?
            .to_dtype(candle_core::DType::F32)?
            .to_vec1()
    }

    fn soft_rows(&self, tokens: &[u32], spans: &[SoftSpan]) -> Result<Tensor> {
        let width = self.config.hidden;
        let mut rows = Vec::with_capacity(tokens.len() * width);
        for token in tokens {
            let row = soft::row(spans, *token, width).map_err(failed)?;
            rows.extend_from_slice(row);
        }
        let rows = Tensor::from_vec(rows, (tokens.len(), width), &self.device)?;
        rows.to_dtype(self.compute.states)
    }
}
