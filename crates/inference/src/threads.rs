//! The threads that a model computes on.

use std::sync::Arc;

use longtrainer_kernels::Team;

use crate::{Error, Result};

/// More than any machine has, and few enough to start by mistake.
const MOST: usize = 1024;

/// An error unless the number of threads asked for makes sense.
pub(crate) fn check(threads: Option<usize>) -> Result<()> {
    match threads {
        Some(count) if count == 0 || count > MOST => Err(Error::InvalidRequest {
            field: "threads",
            value: count.to_string(),
            expected: "between 1 and 1024",
        }),
        _ => Ok(()),
    }
}

/// A team of its own for a model that asks for a number of threads, else the one that all share.
pub(crate) fn team(model: &str, threads: Option<usize>) -> Result<Arc<Team>> {
    let Some(threads) = threads else {
        return Ok(Arc::clone(Team::shared()));
    };
    Team::new(threads)
        .map(Arc::new)
        .map_err(|error| Error::Threads {
            model: model.to_owned(),
            reason: error.to_string(),
        })
}
