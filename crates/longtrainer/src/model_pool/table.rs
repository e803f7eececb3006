//! What is loaded: the part of the residency that holds the lock, and so does nothing slow. It
//! hands models that are to go to its caller, who drops them when the lock is free.

use std::collections::HashMap;
use std::time::Instant;

use jiff::Timestamp;

use crate::error::HeldModel;
use crate::loaded_models::LoadedModel;

use super::keep_alive::KeepAlive;
use super::key::ModelKey;
use super::residency::Resident;
use super::slot::{LastUse, Ready, Slot, State};

/// What is loaded, is being loaded, or is on its way out.
pub(super) struct Table<M> {
    slots: HashMap<ModelKey, Slot<M>>,
    /// What models turned out to take that were expected to take something else.
    measured: HashMap<ModelKey, Measured>,
    uses: u64,
    /// Whether the residency is gone, and with it the need to keep time.
    pub(super) closed: bool,
}

struct Measured {
    expected: u64,
    bytes: u64,
}

/// What somebody finds who asks for a model.
pub(super) enum Entered<M> {
    /// It is loaded; the lease has been counted.
    Ready(M),
    /// It comes or goes: look again when something has changed.
    Busy,
    /// It is not there, and the caller is now the one who loads it.
    Claimed,
}

/// What somebody finds who needs room.
pub(super) enum Room<M> {
    /// It is reserved, and there once these have been dropped.
    Reserved(Vec<(ModelKey, M)>),
    /// Models are just being unloaded: look again when something has changed.
    Soon,
    /// Not even without all models that could go; these could not.
    Never(Vec<HeldModel>),
}

/// What somebody finds who wants a model gone.
pub(super) enum Removal<M> {
    /// Here it is.
    Taken(M),
    /// It is on its way out: look again when something has changed.
    Soon,
    /// Somebody loads or uses it.
    InUse,
    /// It is not for anybody to unload.
    Pinned,
    /// It is not there.
    Absent,
}

impl<M: Resident> Table<M> {
    pub(super) fn new() -> Self {
        Self {
            slots: HashMap::new(),
            measured: HashMap::new(),
            uses: 0,
            closed: false,
        }
    }

    /// Takes a lease of a model, or the task of loading it.
    pub(super) fn enter(&mut self, key: &ModelKey) -> Entered<M> {
        let last_use = self.use_now();
        match self.slots.get_mut(key).map(|slot| &mut slot.state) {
            Some(State::Ready(ready)) => {
                ready.leases += 1;
                ready.last_use = last_use;
                Entered::Ready(ready.model.clone())
            }
            Some(State::Loading | State::Unloading) => Entered::Busy,
            None => {
                let (bytes, state) = (0, State::Loading);
                self.slots.insert(key.clone(), Slot { bytes, state });
                Entered::Claimed
            }
        }
    }

    /// Gives a lease back.
    pub(super) fn release(&mut self, key: &ModelKey) {
        let last_use = self.use_now();
        if let Some(State::Ready(ready)) = self.slots.get_mut(key).map(|slot| &mut slot.state) {
            ready.leases = ready.leases.saturating_sub(1);
            ready.last_use = last_use;
        }
    }

    /// What a model will take whose files have so many bytes.
    pub(super) fn expected_bytes(&self, key: &ModelKey, file_bytes: u64) -> u64 {
        match self.measured.get(key) {
            Some(measured) if measured.expected == file_bytes => measured.bytes,
            _ => file_bytes,
        }
    }

    /// Remembers what it took, so that the next loading of the same files makes room for that.
    pub(super) fn note_measured(&mut self, key: &ModelKey, expected: u64, bytes: u64) {
        let measured = Measured { expected, bytes };
        self.measured.insert(key.clone(), measured);
    }

    /// Counts a model that is being loaded as so many bytes, if the budget has them or models can
    /// go that nobody uses. Nothing has changed if not.
    pub(super) fn reserve(&mut self, key: &ModelKey, bytes: u64, budget: u64) -> Room<M> {
        let others = self.slots.iter().filter(|(other, _)| *other != key);
        let others = others.fold(0u64, |sum, (_, slot)| sum.saturating_add(slot.bytes()));
        let fits = |others: u64| others.saturating_add(bytes) <= budget;
        if fits(others) {
            return self.reserved(key, bytes, Vec::new());
        }
        // What goes now may be enough; and two who count on the same memory would both have it.
        if bytes <= budget && self.is_unloading() {
            return Room::Soon;
        }
        match choose(self.idle(), others, fits) {
            Some(leaving) => self.reserved(key, bytes, leaving),
            None => Room::Never(self.held(key)),
        }
    }

    fn reserved(&mut self, key: &ModelKey, bytes: u64, leaving: Vec<ModelKey>) -> Room<M> {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.bytes = bytes;
        }
        let leaving = leaving.into_iter();
        Room::Reserved(leaving.filter_map(|key| self.take_idle(key)).collect())
    }

    /// Puts a model in place that has been loaded, leased once, or is there to stay.
    pub(super) fn put(&mut self, key: &ModelKey, model: M, leases: usize, pinned: bool) {
        let last_use = self.use_now();
        let bytes = self.slots.get(key).map_or(0, |slot| slot.bytes);
        let ready = Ready {
            model,
            leases,
            pinned,
            last_use,
        };
        let state = State::Ready(ready);
        self.slots.insert(key.clone(), Slot { bytes, state });
    }

    /// Forgets a model that was not loaded after all, or is gone.
    pub(super) fn vacate(&mut self, key: &ModelKey) {
        self.slots.remove(key);
    }

    /// Takes a model out if nobody uses it. Its slot stays until it is [vacated](Self::vacate).
    pub(super) fn remove(&mut self, key: &ModelKey) -> Removal<M> {
        let Some(slot) = self.slots.get(key) else {
            return Removal::Absent;
        };
        match &slot.state {
            State::Unloading => Removal::Soon,
            State::Ready(ready) if ready.pinned => Removal::Pinned,
            State::Ready(ready) if ready.leases == 0 => {
                let taken = self.take_idle(key.clone());
                taken.map_or(Removal::Absent, |(_, model)| Removal::Taken(model))
            }
            State::Ready(_) | State::Loading => Removal::InUse,
        }
    }

    /// Takes a model out that has not been used for long enough.
    pub(super) fn take_expired(
        &mut self,
        keep_alive: KeepAlive,
        now: Instant,
    ) -> Option<(ModelKey, M)> {
        let ends = self.idle_ends(keep_alive);
        let expired = ends.into_iter().find(|(_, end)| *end <= now);
        expired.and_then(|(key, _)| self.take_idle(key))
    }

    /// When the next model will not have been used for long enough, if none is used until then.
    pub(super) fn next_end(&self, keep_alive: KeepAlive) -> Option<Instant> {
        let ends = self.idle_ends(keep_alive).into_iter();
        ends.map(|(_, end)| end).min()
    }

    fn idle_ends(&self, keep_alive: KeepAlive) -> Vec<(ModelKey, Instant)> {
        let end = |(key, ready): (&ModelKey, &Ready<M>)| {
            let end = keep_alive.end(ready.last_use.at)?;
            ready.is_idle().then(|| (key.clone(), end))
        };
        self.ready().filter_map(end).collect()
    }

    /// The models that could go, with their sizes, the longest unused first.
    fn idle(&self) -> Vec<(ModelKey, u64)> {
        let mut idle: Vec<_> = self.ready().filter(|(_, ready)| ready.is_idle()).collect();
        idle.sort_by_key(|(_, ready)| ready.last_use.number);
        let sized = |(key, _): (&ModelKey, _)| (key.clone(), self.bytes_of(key));
        idle.into_iter().map(sized).collect()
    }

    /// The models that could not go, beside one, by name.
    fn held(&self, but: &ModelKey) -> Vec<HeldModel> {
        let is_held = |(key, slot): &(&ModelKey, &Slot<M>)| {
            let is_idle = matches!(&slot.state, State::Ready(ready) if ready.is_idle());
            *key != but && !is_idle
        };
        let held = self.slots.iter().filter(is_held);
        let mut held: Vec<_> = held
            .map(|(key, slot)| HeldModel {
                name: key.name.clone(),
                bytes: slot.bytes(),
            })
            .collect();
        held.sort_by(|one, other| one.name.cmp(&other.name));
        held
    }

    fn take_idle(&mut self, key: ModelKey) -> Option<(ModelKey, M)> {
        let slot = self.slots.get_mut(&key)?;
        if !matches!(&slot.state, State::Ready(ready) if ready.is_idle()) {
            return None;
        }
        slot.bytes = slot.bytes();
        match std::mem::replace(&mut slot.state, State::Unloading) {
            State::Ready(ready) => Some((key, ready.model)),
            State::Loading | State::Unloading => None,
        }
    }

    /// The models in memory, the last used first.
    pub(super) fn loaded(&self) -> Vec<LoadedModel> {
        let mut ready: Vec<_> = self.ready().collect();
        ready.sort_by_key(|(_, ready)| std::cmp::Reverse(ready.last_use.number));
        let told = |(key, ready): (&ModelKey, &Ready<M>)| LoadedModel {
            name: key.name.clone(),
            role: key.role,
            memory_bytes: self.bytes_of(key),
            in_use: ready.leases > 0,
            last_used: ready.last_use.timestamp,
            pinned: ready.pinned,
        };
        ready.into_iter().map(told).collect()
    }

    fn ready(&self) -> impl Iterator<Item = (&ModelKey, &Ready<M>)> {
        let slots = self.slots.iter();
        slots.filter_map(|(key, slot)| match &slot.state {
            State::Ready(ready) => Some((key, ready)),
            State::Loading | State::Unloading => None,
        })
    }

    fn bytes_of(&self, key: &ModelKey) -> u64 {
        self.slots.get(key).map_or(0, Slot::bytes)
    }

    fn is_unloading(&self) -> bool {
        let mut slots = self.slots.values();
        slots.any(|slot| matches!(slot.state, State::Unloading))
    }

    fn use_now(&mut self) -> LastUse {
        self.uses += 1;
        LastUse {
            number: self.uses,
            at: Instant::now(),
            timestamp: Timestamp::now(),
        }
    }
}

/// Which models go so that what is left of `taken` fits: the longest unused, which come first, but
/// none whose going makes no difference because larger ones must go, too.
fn choose(
    idle: Vec<(ModelKey, u64)>,
    taken: u64,
    fits: impl Fn(u64) -> bool,
) -> Option<Vec<ModelKey>> {
    let mut left = taken;
    let mut leaving = Vec::new();
    for (key, bytes) in idle {
        if fits(left) {
            break;
        }
        left = left.saturating_sub(bytes);
        leaving.push((key, bytes));
    }
    if !fits(left) {
        return None;
    }
    // The last used of them is the first to be spared.
    let mut needed = Vec::new();
    for (key, bytes) in leaving.into_iter().rev() {
        match fits(left.saturating_add(bytes)) {
            true => left += bytes,
            false => needed.push(key),
        }
    }
    Some(needed)
}
