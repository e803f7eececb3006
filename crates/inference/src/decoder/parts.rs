//! The parts of a step: whose rows are which, while they go through the products together.

use candle_core::{Result, Tensor};

use super::adapter::CandleAdapter;
use super::cache::Step;

/// A request's rows of a step.
#[derive(Debug)]
pub(super) struct StepPart<'step> {
    /// The first of them among the rows of all.
    pub(super) start: usize,
    pub(super) count: usize,
    /// Where its tokens stand, and its keys and values.
    pub(super) step: Step<'step>,
    /// What changes the model for it, and how much.
    pub(super) adapter: Option<(&'step CandleAdapter, f32)>,
}

impl StepPart<'_> {
    /// Its rows of (tokens, ...).
    pub(super) fn rows_of(&self, all: &Tensor) -> Result<Tensor> {
        all.narrow(0, self.start, self.count)
    }
}

/// The rows of all parts, one after another.
pub(super) fn one_after_another(rows: Vec<Tensor>) -> Result<Tensor> {
    match rows.as_slice() {
        [] => candle_core::bail!("a step without tokens"),
        [only] => Ok(only.clone()),
        several => Tensor::cat(several, 0),
    }
}
