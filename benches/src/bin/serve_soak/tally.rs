//! What happened so far.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::plan::Act;

/// Complaints that are kept; one defect can cause thousands.
const KEPT: usize = 50;

/// How an act ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// As it should.
    Done,
    /// The visitor left in the middle.
    Left,
    /// Refused, as it may be.
    Refused,
    /// The server was killed meanwhile.
    Killed,
    /// There was nothing to do it with.
    Idle,
    /// As it must not.
    Wrong,
}

/// How often an act ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Endings {
    pub(crate) done: usize,
    pub(crate) left: usize,
    pub(crate) refused: usize,
    pub(crate) killed: usize,
    pub(crate) wrong: usize,
}

/// Counts and complaints of all visitors.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    acts: Mutex<BTreeMap<Act, Endings>>,
    complaints: Mutex<Complaints>,
}

#[derive(Debug, Default)]
struct Complaints {
    first: Vec<String>,
    count: usize,
}

impl Tally {
    pub(crate) fn count(&self, act: Act, ending: Ending) {
        let mut acts = lock(&self.acts);
        if ending == Ending::Idle {
            return;
        }
        let endings = acts.entry(act).or_default();
        match ending {
            Ending::Done => endings.done += 1,
            Ending::Left => endings.left += 1,
            Ending::Refused => endings.refused += 1,
            Ending::Killed => endings.killed += 1,
            Ending::Wrong => endings.wrong += 1,
            Ending::Idle => {}
        }
    }

    /// Notes what must not be.
    pub(crate) fn complain(&self, complaint: String) {
        let mut complaints = lock(&self.complaints);
        complaints.count += 1;
        if complaints.first.len() < KEPT {
            complaints.first.push(complaint);
        }
    }

    /// The first complaints, and how many there are.
    pub(crate) fn complaints(&self) -> (Vec<String>, usize) {
        let complaints = lock(&self.complaints);
        (complaints.first.clone(), complaints.count)
    }

    /// How often each act ended how.
    pub(crate) fn acts(&self) -> BTreeMap<String, Endings> {
        let acts = lock(&self.acts);
        acts.iter()
            .map(|(act, endings)| (format!("{act:?}"), *endings))
            .collect()
    }

    /// All acts together.
    pub(crate) fn total(&self) -> Endings {
        let acts = lock(&self.acts);
        acts.values().fold(Endings::default(), |sum, one| Endings {
            done: sum.done + one.done,
            left: sum.left + one.left,
            refused: sum.refused + one.refused,
            killed: sum.killed + one.killed,
            wrong: sum.wrong + one.wrong,
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
