//! What an index of lists knows about itself, as 64-bit words of its file.

use super::clusters::{Clusters, History};
use super::search::Effort;
use super::tuning::{Step, Tuning};
use crate::Codes;

/// Words before the steps.
const HEAD: usize = 6;
/// Words of a step.
const STEP: usize = 4;
const BITS: u64 = 1;
const BYTES: u64 = 2;

/// What the words say.
pub(crate) struct Known {
    pub(crate) codes: Codes,
    pub(crate) seed: u64,
    pub(crate) history: History,
    pub(crate) tuning: Tuning,
}

impl Clusters {
    /// The words of the section.
    pub(crate) fn to_words(&self) -> Vec<u64> {
        let codes = match self.codec.codes {
            Codes::Bits => BITS,
            Codes::Bytes => BYTES,
        };
        let History {
            trained,
            spread,
            added,
            added_spread,
        } = self.history;
        let head: [u64; HEAD] = [
            codes,
            self.codec.rotation.seed(),
            trained as u64,
            spread.to_bits(),
            added as u64,
            added_spread.to_bits(),
        ];
        let steps = self.tuning.steps.iter().flat_map(|step| {
            let (recall, error) = (step.recall.to_bits(), step.error.to_bits());
            [
                step.effort.probes as u64,
                step.effort.rerank as u64,
                u64::from(recall) | u64::from(error) << 32,
                step.cost.to_bits(),
            ]
        });
        head.into_iter().chain(steps).collect()
    }

    /// How many rows each list has.
    pub(crate) fn lengths(&self) -> Vec<u32> {
        self.lists.iter().map(|list| list.count as u32).collect()
    }
}

/// Reads the words; `None` if they cannot be what was written.
pub(crate) fn read(words: &[u64]) -> Option<Known> {
    let (&[codes, seed, trained, spread, added, added_spread], steps) =
        words.split_first_chunk()?;
    let (steps, rest) = steps.as_chunks::<STEP>();
    if !rest.is_empty() {
        return None;
    }
    Some(Known {
        codes: match codes {
            BITS => Codes::Bits,
            BYTES => Codes::Bytes,
            _ => return None,
        },
        seed,
        history: History {
            trained: usize::try_from(trained).ok()?,
            spread: f64::from_bits(spread),
            added: usize::try_from(added).ok()?,
            added_spread: f64::from_bits(added_spread),
        },
        tuning: Tuning {
            steps: steps.iter().map(step).collect::<Option<_>>()?,
        },
    })
}

fn step(&[probes, rerank, recall, cost]: &[u64; STEP]) -> Option<Step> {
    Some(Step {
        effort: Effort {
            probes: usize::try_from(probes).ok()?,
            rerank: usize::try_from(rerank).ok()?,
        },
        recall: f32::from_bits(recall as u32),
        error: f32::from_bits((recall >> 32) as u32),
        cost: f64::from_bits(cost),
    })
}
