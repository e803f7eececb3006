//! Steps whose failures stay with the request that caused them.
//!
//! A batch that fails or panics is taken back and done again request by request: only those that
//! fail alone have failed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::model::{LanguageModel, Part, TokenCache};
use super::scores::Scores;
use crate::Error;
use crate::error::compute_failed;

/// What a request gets from a step.
pub(super) type Scored = Result<Scores, Error>;

/// One step; an outcome for each part.
pub(super) fn step<M: LanguageModel>(
    name: &str,
    model: &M,
    mut parts: Vec<Part<'_, M::Cache>>,
) -> Vec<Scored> {
    let before: Vec<usize> = parts.iter().map(|part| part.cache.len()).collect();
    match attempt(name, model, &mut parts) {
        Ok(scores) => scores.into_iter().map(Ok).collect(),
        Err(error) => {
            for (part, length) in parts.iter_mut().zip(&before) {
                part.cache.truncate(*length);
            }
            match parts.len() {
                1 => vec![Err(error)],
                _ => one_by_one(name, model, parts, &before),
            }
        }
    }
}

fn one_by_one<M: LanguageModel>(
    name: &str,
    model: &M,
    parts: Vec<Part<'_, M::Cache>>,
    before: &[usize],
) -> Vec<Scored> {
    let alone = parts.into_iter().zip(before).map(|(part, length)| {
        let mut part = [part];
        let outcome = attempt(name, model, &mut part);
        if outcome.is_err() {
            part[0].cache.truncate(*length);
        }
        outcome.map(|scores| scores.into_iter().next().unwrap_or(Scores::NONE))
    });
    alone.collect()
}

fn attempt<M: LanguageModel>(
    name: &str,
    model: &M,
    parts: &mut [Part<'_, M::Cache>],
) -> Result<Vec<Scores>, Error> {
    contained(name, || {
        let outcome = model.scores(parts);
        outcome.map_err(|source| compute_failed(name, source))
    })
}

/// What `work` gives, or the error that its panic is.
pub(crate) fn contained<V>(
    name: &str,
    work: impl FnOnce() -> Result<V, Error>,
) -> Result<V, Error> {
    let outcome = catch_unwind(AssertUnwindSafe(work));
    outcome.unwrap_or_else(|panic| {
        Err(Error::Panicked {
            model: name.to_owned(),
            message: panic_message(panic.as_ref()),
        })
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let literal = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let formatted = || panic.downcast_ref::<String>().cloned();
    literal
        .or_else(formatted)
        .unwrap_or_else(|| "no message".to_owned())
}
