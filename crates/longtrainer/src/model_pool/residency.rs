//! Which models stay in memory: loaded once, evicted under a budget, unloaded when unused.
//!
//! A [`Lease`] keeps a model loaded; what nobody leases may go, the longest unused first. The lock
//! is held only to look into the [`Table`]: models are loaded and dropped without it, since both
//! take their time and dropping one waits for its threads. So a model that is being loaded is in
//! nobody's way but of those who want the same one.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::error::{Error, Result};
use crate::loaded_models::LoadedModel;

use super::keep_alive::KeepAlive;
use super::key::ModelKey;
use super::lease::{CountLeases, Lease};
use super::memory_budget::MemoryBudget;
use super::reaper;
use super::table::{Entered, Removal, Room, Table};
use super::transit::{Claim, Leaving};

/// What can be kept in memory: a handle that is cheap to clone.
pub(super) trait Resident: Clone + Send + Sync + 'static {
    /// Memory it takes now, or 0 if that is not known. Called with the lock held, so it must not
    /// wait for anything.
    fn memory_bytes(&self) -> u64;
}

/// A model that has been found and can be loaded.
pub(super) struct Found<L> {
    /// Bytes of its weights, which is what it is expected to take.
    pub(super) bytes: u64,
    pub(super) load: L,
}

/// Keeps models in memory.
pub(super) struct Residency<M: Resident> {
    shared: Arc<Shared<M>>,
    reaper: Option<JoinHandle<()>>,
}

/// What leases and the thread that keeps time need of it.
pub(super) struct Shared<M> {
    table: Mutex<Table<M>>,
    /// A model came or went.
    changed: Condvar,
    /// A model is no longer used, or the residency is gone.
    idle: Condvar,
    budget: u64,
    pub(super) keep_alive: KeepAlive,
}

impl<M: Resident> Residency<M> {
    pub(super) fn new(budget: MemoryBudget, keep_alive: KeepAlive) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            table: Mutex::new(Table::new()),
            changed: Condvar::new(),
            idle: Condvar::new(),
            budget: budget.limit(),
            keep_alive,
        });
        let reaper = match keep_alive {
            KeepAlive::Forever => None,
            KeepAlive::For(_) => Some(reaper::start(&shared)?),
        };
        Ok(Self { shared, reaper })
    }

    /// Puts a model in place that never goes.
    pub(super) fn pin(&self, key: &ModelKey, model: M) {
        self.shared.lock().put(key, model, 0, true);
    }

    /// The model, loaded by the caller if it is not there. Who asks for one that is just being
    /// loaded waits for it; if that fails, the next in line tries again.
    pub(super) fn acquire<L: FnOnce() -> Result<M>>(
        &self,
        key: &ModelKey,
        find: impl FnOnce() -> Result<Found<L>>,
    ) -> Result<Lease<M>> {
        match self.enter(key) {
            Some(model) => Ok(self.lease(key, model)),
            None => self.load(Claim::new(&self.shared, key), find),
        }
    }

    /// The model, or nothing and the task of loading it.
    fn enter(&self, key: &ModelKey) -> Option<M> {
        let mut table = self.shared.lock();
        loop {
            match table.enter(key) {
                Entered::Ready(model) => return Some(model),
                Entered::Claimed => return None,
                Entered::Busy => table = wait(&self.shared.changed, table),
            }
        }
    }

    fn load<L: FnOnce() -> Result<M>>(
        &self,
        claim: Claim<'_, M>,
        find: impl FnOnce() -> Result<Found<L>>,
    ) -> Result<Lease<M>> {
        let key = claim.key;
        let Found { bytes, load } = find()?;
        let expected = self.shared.lock().expected_bytes(key, bytes);
        self.make_room(key, expected)?;
        let model = load()?;
        self.count(key, bytes, &model)?;
        claim.fulfil(model.clone());
        Ok(self.lease(key, model))
    }

    /// Counts a loaded model as what it takes, which may be more than its files and so need more
    /// room.
    fn count(&self, key: &ModelKey, expected: u64, model: &M) -> Result<()> {
        let bytes = model.memory_bytes();
        if bytes == 0 {
            return Ok(());
        }
        self.shared.lock().note_measured(key, expected, bytes);
        self.make_room(key, bytes)
    }

    /// Reserves memory, and waits until what had to go for it is gone.
    fn make_room(&self, key: &ModelKey, bytes: u64) -> Result<()> {
        let mut table = self.shared.lock();
        loop {
            match table.reserve(key, bytes, self.shared.budget) {
                Room::Reserved(leaving) => {
                    drop(table);
                    let leaving = leaving.into_iter();
                    let leaving: Vec<_> = leaving.map(|each| self.leaving(each)).collect();
                    for model in leaving {
                        model.unload("making room");
                    }
                    return Ok(());
                }
                Room::Soon => table = wait(&self.shared.changed, table),
                Room::Never(held) => {
                    return Err(Error::OutOfModelMemory {
                        model: key.name.clone(),
                        needed: bytes,
                        budget: self.shared.budget,
                        held,
                    });
                }
            }
        }
    }

    /// Unloads a model, and waits until it is gone; whether it was loaded.
    pub(super) fn unload(&self, key: &ModelKey) -> Result<bool> {
        let mut table = self.shared.lock();
        loop {
            let name = || key.name.clone();
            match table.remove(key) {
                Removal::Taken(model) => {
                    drop(table);
                    self.leaving((key.clone(), model)).unload("asked for");
                    return Ok(true);
                }
                Removal::Soon => table = wait(&self.shared.changed, table),
                Removal::InUse => return Err(Error::ModelInUse { name: name() }),
                Removal::Pinned => return Err(Error::ModelPinned { name: name() }),
                Removal::Absent => return Ok(false),
            }
        }
    }

    /// The models in memory, the last used first.
    pub(super) fn loaded(&self) -> Vec<LoadedModel> {
        self.shared.lock().loaded()
    }

    fn lease(&self, key: &ModelKey, model: M) -> Lease<M> {
        let counter: Arc<dyn CountLeases> = Arc::<Shared<M>>::clone(&self.shared);
        Lease::new(model, counter, key.clone())
    }

    fn leaving(&self, (key, model): (ModelKey, M)) -> Leaving<'_, M> {
        Leaving::new(&self.shared, key, model)
    }
}

impl<M: Resident> Drop for Residency<M> {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.idle.notify_all();
        let ended = self.reaper.take().map(JoinHandle::join);
        if ended.is_some_and(|ended| ended.is_err()) {
            tracing::error!("the thread that unloads unused models ended in a panic");
        }
    }
}

impl<M: Resident> Shared<M> {
    /// The table is whole whatever a panicking holder was doing: each change of it is one step.
    pub(super) fn lock(&self) -> MutexGuard<'_, Table<M>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where one waits for models that are no longer used.
    pub(super) fn idle(&self) -> &Condvar {
        &self.idle
    }

    /// Shows a loaded model to everybody, leased once by whoever loaded it.
    pub(super) fn put(&self, key: &ModelKey, model: M) {
        self.lock().put(key, model, 1, false);
        self.changed.notify_all();
    }

    /// Forgets a model that was not loaded after all, or is gone.
    pub(super) fn vacate(&self, key: &ModelKey) {
        self.lock().vacate(key);
        self.changed.notify_all();
    }
}

impl<M: Resident> CountLeases for Shared<M> {
    fn release(&self, key: &ModelKey) {
        self.lock().release(key);
        self.idle.notify_all();
    }
}

fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}
