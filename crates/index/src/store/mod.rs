//! What all kinds of index are made of: a snapshot that searches read, and a writer that replaces it.
//!
//! A search takes the present snapshot and keeps it until it has its answer. A writer prepares the
//! next one beside it, sharing all that it does not change, and puts it in place in one step; writers
//! take turns. Whatever fails before that step leaves the index as it was.

mod search;
mod snapshot;
mod write;

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use longtrainer_kernels::Team;

pub(crate) use self::snapshot::Snapshot;
use self::write::Writer;
use crate::bytes::MOST_CODED;
use crate::options::IvfOptions;
use crate::rows::Rows;
use crate::{Error, Memory, Metric, Result};

/// When vectors are divided into lists.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Policy {
    /// Never.
    Never,
    /// When the caller says so; the lists are then kept up to date.
    Asked(IvfOptions),
    /// While there are at least so many vectors.
    From(usize, IvfOptions),
}

impl Policy {
    /// The recall of a search that does not say one.
    fn recall(&self) -> f32 {
        match self {
            Policy::Never => 1.0,
            Policy::Asked(options) | Policy::From(_, options) => options.recall,
        }
    }
}

/// An index of any kind.
pub(crate) struct Store {
    current: ArcSwap<Snapshot>,
    writer: Mutex<Writer>,
    policy: Policy,
    team: Arc<Team>,
}

impl Store {
    pub(crate) fn new(
        metric: Metric,
        dimension: usize,
        coded: bool,
        policy: Policy,
    ) -> Result<Store> {
        let maximum = match coded || policy != Policy::Never {
            true => MOST_CODED,
            false => u32::MAX,
        };
        if dimension == 0 || dimension > maximum as usize {
            return Err(Error::UnsupportedDimension {
                received: dimension,
                maximum,
            });
        }
        let rows = Rows::new(metric, dimension, coded);
        Ok(Self::of(
            Snapshot {
                rows,
                clusters: None,
            },
            policy,
        ))
    }

    pub(crate) fn of(snapshot: Snapshot, policy: Policy) -> Store {
        Store {
            current: ArcSwap::from_pointee(snapshot),
            writer: Mutex::default(),
            policy,
            team: Arc::clone(Team::shared()),
        }
    }

    /// The same index with threads of its own.
    pub(crate) fn with_threads(mut self, threads: usize) -> Result<Store> {
        let team = Team::new(threads).map_err(|source| Error::Threads { threads, source })?;
        self.team = Arc::new(team);
        Ok(self)
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub(crate) fn team(&self) -> &Team {
        &self.team
    }

    pub(crate) fn memory(&self) -> Memory {
        self.snapshot().memory()
    }
}
