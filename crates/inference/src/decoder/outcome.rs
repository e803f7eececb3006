//! What a step gives: logits, or what requests need of them.

use candle_core::{DType, Tensor};

use super::{Decoder, KvCache, chosen};
use crate::device::explained;
use crate::engine::{Needed, Part, Scores, deal};
use crate::error::ComputeError;

impl Decoder {
    /// Reads the parts together and returns the logits that they ask for. Their rows share every product; only
    /// attention is each part's own.
    pub(crate) fn step(&self, parts: &mut [Part<'_, KvCache>]) -> Result<Vec<f32>, ComputeError> {
        let logits = self.checked(parts, |parts| self.read_parts(parts));
        Ok(logits?.unwrap_or_default())
    }

    /// A step after which each part gets of its logits what it needs.
    pub(crate) fn scores(
        &self,
        parts: &mut [Part<'_, KvCache>],
    ) -> Result<Vec<Scores>, ComputeError> {
        let asked: Vec<(usize, Needed)> = parts
            .iter()
            .map(|part| (part.logits, part.needed))
            .collect();
        if !self.chooses {
            let counts: Vec<usize> = asked.iter().map(|&(count, _)| count).collect();
            return Ok(deal(self.step(parts)?, &counts));
        }
        let scores = self.checked(parts, |parts| match self.logits_after(parts)? {
            Some(logits) => chosen::scores(&logits, &asked),
            None => Ok(vec![Scores::NONE; asked.len()]),
        });
        Ok(scores?.unwrap_or_default())
    }

    /// What a step gives, if it has parts.
    fn checked<'part, V>(
        &self,
        parts: &mut [Part<'part, KvCache>],
        step: impl FnOnce(&mut [Part<'part, KvCache>]) -> candle_core::Result<V>,
    ) -> Result<Option<V>, ComputeError> {
        parts.iter().try_for_each(Part::check)?;
        if parts.is_empty() {
            return Ok(None);
        }
        let outcome = step(parts).map(Some);
        outcome.map_err(|error| explained(error, &self.device))
    }

    /// The logits that the parts ask for.
    pub(super) fn read_parts(
        &self,
        parts: &mut [Part<'_, KvCache>],
    ) -> candle_core::Result<Vec<f32>> {
        match self.logits_after(parts)? {
            Some(logits) => logits.flatten_all()?.to_vec1(),
            None => Ok(Vec::new()),
        }
    }

    /// Reads the parts together: the logits that they ask for, if they ask for any, still on the device: (rows,
    /// vocabulary).
    fn logits_after(&self, parts: &mut [Part<'_, KvCache>]) -> candle_core::Result<Option<Tensor>> {
        let rows = asked_rows(parts);
        let hidden = self.hidden(parts)?;
        if rows.is_empty() {
            // What was queued has happened when a step has ended.
            self.device.synchronize()?;
            return Ok(None);
        }
        if rows.len() == hidden.dim(0)? {
            return self.logits_of(&hidden).map(Some);
        }
        let rows = Tensor::new(rows, &self.device)?;
        self.logits_of(&hidden.index_select(&rows, 0)?).map(Some)
    }

    /// The logits after states: (rows, hidden) to (rows, vocabulary).
    fn logits_of(&self, hidden: &Tensor) -> candle_core::Result<Tensor> {
        let normed = self.output_norm.forward(hidden)?;
        let mut logits = self.output.forward(&normed)?.to_dtype(DType::F32)?;
        if let Some(cap) = self.config.logit_cap.map(f64::from) {
            logits = ((logits / cap)?.tanh()? * cap)?;
        }
        Ok(logits)
    }
}

/// After which tokens logits are asked for, among those of all parts.
fn asked_rows(parts: &[Part<'_, KvCache>]) -> Vec<u32> {
    let mut end = 0;
    let rows = parts.iter().flat_map(|part| {
        end += part.tokens.len();
        end - part.logits..end
    });
    rows.map(|row| row as u32).collect()
}
