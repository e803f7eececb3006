//! Work on rows of tokens, shared out over a team: what the kernels' models have in common.

use std::sync::OnceLock;

use longtrainer_kernels::{Linear, QuantisedRows, Team};

use crate::error::ComputeError;

/// Rows that are worth a task of their own.
pub(crate) const ROWS_A_TASK: usize = 4;

/// [`Team::for_rows`] for work that can be refused; the first refusal is the result.
pub(crate) fn try_rows(
    team: &Team,
    values: &mut [f32],
    width: usize,
    task: impl Fn(usize, &mut [f32]) -> longtrainer_kernels::Result<()> + Sync,
) -> Result<(), ComputeError> {
    let failure = OnceLock::new();
    team.for_rows(values, width, ROWS_A_TASK, |first, run| {
        if let Err(error) = task(first, run) {
            let _ = failure.set(error);
        }
    });
    match failure.into_inner() {
        None => Ok(()),
        Some(error) => Err(error.into()),
    }
}

/// [`Linear::forward`] into a buffer that is made to fit: (tokens, inputs) -> (tokens, outputs).
pub(crate) fn map_rows(
    linear: &Linear,
    team: &Team,
    input: &[f32],
    rounded: &mut QuantisedRows,
    out: &mut Vec<f32>,
) -> Result<(), ComputeError> {
    let tokens = input.len() / linear.columns().max(1);
    out.resize(tokens * linear.rows(), 0.0);
    Ok(linear.forward(team, input, rounded, out)?)
}
