#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use longtrainer_models::Role;

use crate::error::{Error, HeldModel, Result};

use super::keep_alive::KeepAlive;
use super::key::ModelKey;
use super::lease::Lease;
use super::memory_budget::MemoryBudget;
use super::residency::{Found, Residency, Resident};

/// A model that counts how many of its kind are alive.
#[derive(Clone)]
struct Fake(Arc<FakeModel>);

struct FakeModel {
    bytes: AtomicU64,
    alive: Arc<AtomicUsize>,
    on_drop: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Drop for FakeModel {
    fn drop(&mut self) {
        if let Some(on_drop) = &self.on_drop {
            on_drop();
        }
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Lease<Fake> {
    fn model(&self) -> &Arc<FakeModel> {
        &self.inner().0
    }
}

impl Resident for Fake {
    fn memory_bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::SeqCst)
    }
}

/// A residency with models of any name, which all take what they are said to take.
struct World {
    residency: Residency<Fake>,
    alive: Arc<AtomicUsize>,
    loads: AtomicUsize,
}

impl World {
    fn new(budget: u64, keep_alive: KeepAlive) -> Self {
        let budget = MemoryBudget::Bytes(budget);
        Self {
            residency: Residency::new(budget, keep_alive).unwrap(),
            alive: Arc::default(),
            loads: AtomicUsize::new(0),
        }
    }

    fn fake(&self, bytes: u64) -> Fake {
        self.fake_with(bytes, None)
    }

    fn fake_with(&self, bytes: u64, on_drop: Option<Box<dyn Fn() + Send + Sync>>) -> Fake {
        self.alive.fetch_add(1, Ordering::SeqCst);
        Fake(Arc::new(FakeModel {
            bytes: AtomicU64::new(bytes),
            alive: Arc::clone(&self.alive),
            on_drop,
        }))
    }

    fn acquire(&self, name: &str, bytes: u64) -> Result<Lease<Fake>> {
        self.acquire_with(name, bytes, || Ok(self.fake(bytes)))
    }

    fn acquire_with(
        &self,
        name: &str,
        file_bytes: u64,
        load: impl FnOnce() -> Result<Fake>,
    ) -> Result<Lease<Fake>> {
        self.residency.acquire(&key(name), || {
            Ok(Found {
                bytes: file_bytes,
                load: || {
                    self.loads.fetch_add(1, Ordering::SeqCst);
                    load()
                },
            })
        })
    }

    /// Names of what is loaded, the last used first.
    fn names(&self) -> Vec<String> {
        let loaded = self.residency.loaded().into_iter();
        loaded.map(|model| model.name).collect()
    }

    fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }
}

fn key(name: &str) -> ModelKey {
    ModelKey::new(Role::Text, name)
}

fn held(name: &str, bytes: u64) -> HeldModel {
    let name = name.to_owned();
    HeldModel { name, bytes }
}

/// What was refused: model, needed, budget, held.
fn refusal<T>(result: Result<T>) -> (String, u64, u64, Vec<HeldModel>) {
    match result.map(|_| ()).unwrap_err() {
        Error::OutOfModelMemory {
            model,
            needed,
            budget,
            held,
        } => (model, needed, budget, held),
        other => panic!("{other}"),
    }
}

fn arrives<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(Duration::from_secs(20)).unwrap()
}

fn soon(mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "never happened"
        );
        thread::yield_now();
    }
}

#[test]
fn the_longest_unused_goes_first_and_only_as_many_as_must() {
    let world = World::new(100, KeepAlive::Forever);
    for name in ["a", "b", "c"] {
        world.acquire(name, 30).unwrap();
    }
    world.acquire("a", 30).unwrap(); // used again: now `b` is the oldest
    world.acquire("d", 30).unwrap();
    assert_eq!(world.names(), ["d", "a", "c"]);
    world.acquire("e", 60).unwrap();
    assert_eq!(world.names(), ["e", "d"]);
    assert_eq!((world.alive(), world.loads()), (2, 5));
}

#[test]
fn giving_back_counts_as_use() {
    let world = World::new(60, KeepAlive::Forever);
    let first = world.acquire("first", 30).unwrap();
    world.acquire("second", 30).unwrap();
    drop(first);
    world.acquire("third", 30).unwrap();
    assert_eq!(world.names(), ["third", "first"]);
}

#[test]
fn what_is_in_use_stays_and_a_refusal_says_why_and_changes_nothing() {
    let world = World::new(100, KeepAlive::Forever);
    let used = world.acquire("used", 60).unwrap();
    let clone = used.clone();
    drop(used);
    world.acquire("idle", 30).unwrap();
    let refused = refusal(world.acquire("big", 50));
    assert_eq!(refused, ("big".into(), 50, 100, vec![held("used", 60)]));
    assert_eq!(world.names(), ["idle", "used"], "not even what could go");
    assert_eq!(world.loads(), 2, "refused before it was loaded");
    drop(clone);
    world.acquire("big", 50).unwrap();
    assert_eq!(world.names(), ["big", "idle"]);
}

#[test]
fn a_model_larger_than_the_budget_evicts_nobody() {
    let world = World::new(100, KeepAlive::Forever);
    world.acquire("idle", 100).unwrap();
    let refused = world.acquire("huge", 101);
    let told = refused.as_ref().map(|_| ()).unwrap_err().to_string();
    assert!(told.contains("\"huge\" needs 101 B"), "{told}");
    assert!(told.contains("may take 100 B"), "{told}");
    assert_eq!(refusal(refused), ("huge".into(), 101, 100, vec![]));
    assert_eq!(world.names(), ["idle"]);
}

#[test]
fn what_a_model_takes_counts_and_not_what_its_file_has() {
    let world = World::new(100, KeepAlive::Forever);
    world.acquire("idle", 40).unwrap();
    let lease = world.acquire_with("grows", 50, || Ok(world.fake(70)));
    assert_eq!(world.names(), ["grows"], "70 and 40 are too much");
    assert_eq!(world.residency.loaded()[0].memory_bytes, 70);
    let refused = refusal(world.acquire("other", 31));
    assert_eq!(refused.3, [held("grows", 70)]);
    lease.unwrap().model().bytes.store(90, Ordering::SeqCst);
    assert_eq!(
        world.residency.loaded()[0].memory_bytes,
        90,
        "as its cache grows"
    );
}

#[test]
fn one_that_turns_out_too_large_is_dropped_and_the_next_time_not_even_loaded() {
    let world = World::new(100, KeepAlive::Forever);
    let pinned = world.fake(40);
    world.residency.pin(&key("pinned"), pinned);
    for _ in 0..2 {
        let refused = refusal(world.acquire_with("swells", 50, || Ok(world.fake(61))));
        assert_eq!(
            refused,
            ("swells".into(), 61, 100, vec![held("pinned", 40)])
        );
        assert_eq!((world.alive(), world.loads()), (1, 1));
        assert_eq!(world.names(), ["pinned"]);
    }
    // Files of another size are another model, of which nothing is known yet.
    world
        .acquire_with("swells", 45, || Ok(world.fake(55)))
        .unwrap();
}

#[test]
fn a_model_of_unknown_size_counts_as_its_file() {
    let world = World::new(100, KeepAlive::Forever);
    let _lease = world
        .acquire_with("elsewhere", 60, || Ok(world.fake(0)))
        .unwrap();
    assert_eq!(world.residency.loaded()[0].memory_bytes, 60);
    assert_eq!(
        refusal(world.acquire("other", 41)).3,
        [held("elsewhere", 60)]
    );
}

#[test]
fn many_who_ask_at_once_get_one_model() {
    let world = World::new(100, KeepAlive::Forever);
    let barrier = Barrier::new(100);
    let leases: Vec<_> = thread::scope(|scope| {
        let ask = || {
            barrier.wait();
            world.acquire("wanted", 10).unwrap()
        };
        let threads: Vec<_> = (0..100).map(|_| scope.spawn(ask)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!((world.loads(), world.alive()), (1, 1));
    let first = leases[0].model();
    assert!(leases.iter().all(|lease| Arc::ptr_eq(first, lease.model())));
}

#[test]
fn loading_one_model_is_in_nobodys_way_but_of_those_who_want_it() {
    let world = World::new(100, KeepAlive::Forever);
    world.acquire("ready", 10).unwrap();
    let (begun, has_begun) = channel();
    let (go_on, may_go_on) = channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    thread::scope(|scope| {
        let slow = scope.spawn(|| {
            world.acquire_with("slow", 10, || {
                begun.send(()).unwrap();
                arrives(&may_go_on.lock().unwrap());
                Ok(world.fake(10))
            })
        });
        arrives(&has_begun);
        let second = scope.spawn(|| world.acquire("slow", 10));
        world.acquire("ready", 10).unwrap();
        world.acquire("third", 10).unwrap();
        assert_eq!(world.names(), ["third", "ready"]);
        assert!(matches!(
            world.residency.unload(&key("slow")),
            Err(Error::ModelInUse { name }) if name == "slow"
        ));
        go_on.send(()).unwrap();
        let (one, other) = (
            slow.join().unwrap().unwrap(),
            second.join().unwrap().unwrap(),
        );
        assert!(Arc::ptr_eq(one.model(), other.model()));
    });
    assert_eq!(world.loads(), 3);
}

#[test]
fn a_load_that_is_under_way_is_counted() {
    let world = World::new(100, KeepAlive::Forever);
    let first = world.acquire_with("first", 60, || {
        let refused = refusal(world.acquire("second", 50));
        assert_eq!(refused.3, [held("first", 60)]);
        Ok(world.fake(60))
    });
    assert!(first.is_ok());
}

#[test]
fn a_load_that_fails_or_panics_leaves_no_trace_and_lets_the_next_one_try() {
    let world = World::new(100, KeepAlive::Forever);
    let fails = || Err(Error::EmptyQuestion);
    assert!(matches!(
        world.acquire_with("a", 90, fails),
        Err(Error::EmptyQuestion)
    ));
    let missing = world.residency.acquire(&key("a"), || {
        Err::<Found<fn() -> Result<Fake>>, _>(Error::EmptyQuestion)
    });
    assert!(matches!(missing, Err(Error::EmptyQuestion)));
    assert_eq!(world.names(), [""; 0]);

    let (begun, has_begun) = channel();
    let (go_on, may_go_on) = channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    thread::scope(|scope| {
        let panics = scope.spawn(|| {
            let _ = world.acquire_with("a", 90, || {
                begun.send(()).unwrap();
                arrives(&may_go_on.lock().unwrap());
                panic!("a loader that panics")
            });
        });
        arrives(&has_begun);
        let waits = scope.spawn(|| world.acquire("a", 90).map(drop));
        go_on.send(()).unwrap();
        assert!(panics.join().is_err());
        waits.join().unwrap().unwrap();
    });
    world.acquire("b", 100).unwrap();
    assert_eq!(
        world.names(),
        ["b"],
        "nothing of the failed ones is counted"
    );
}

#[test]
fn unloading_waits_until_the_model_is_gone_and_spares_what_is_in_use() {
    let world = World::new(100, KeepAlive::Forever);
    world.residency.pin(&key("pinned"), world.fake(10));
    let lease = world.acquire("a", 10).unwrap();
    let unload = |name| world.residency.unload(&key(name));
    assert!(matches!(unload("a"), Err(Error::ModelInUse { name }) if name == "a"));
    drop(lease);
    assert_eq!(world.alive(), 2);
    assert!(unload("a").unwrap());
    assert_eq!(world.alive(), 1);
    assert!(!unload("a").unwrap());
    assert!(matches!(unload("pinned"), Err(Error::ModelPinned { name }) if name == "pinned"));
    assert_eq!(world.names(), ["pinned"]);
}

#[test]
fn pinned_models_count_and_stay() {
    let world = World::new(100, KeepAlive::For(Duration::ZERO));
    world.residency.pin(&key("pinned"), world.fake(70));
    drop(world.acquire("pinned", 70).unwrap());
    assert_eq!(refusal(world.acquire("other", 31)).3, [held("pinned", 70)]);
    drop(world.acquire("other", 30).unwrap());
    soon(|| world.names() == ["pinned"]);
    assert_eq!(world.loads(), 1);
}

#[test]
fn models_are_dropped_without_the_lock_and_others_wait_for_the_memory() {
    let world = World::new(100, KeepAlive::Forever);
    world.acquire("ready", 10).unwrap();
    let ready = world.acquire("ready", 10).unwrap();
    let (begun, has_begun) = channel();
    let (go_on, may_go_on) = channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let on_drop = move || {
        begun.send(()).unwrap();
        arrives(&may_go_on.lock().unwrap());
    };
    let slow_to_go = world.fake_with(80, Some(Box::new(on_drop)));
    world
        .acquire_with("slow to go", 80, || Ok(slow_to_go))
        .unwrap();
    let is_loading = AtomicBool::new(false);
    thread::scope(|scope| {
        let unloading = scope.spawn(|| world.residency.unload(&key("slow to go")));
        arrives(&has_begun);
        // The lock is free, but the memory is not.
        let waiting = scope.spawn(|| {
            world.acquire_with("next", 90, || {
                is_loading.store(true, Ordering::SeqCst);
                Ok(world.fake(90))
            })
        });
        drop(world.acquire("ready", 10).unwrap());
        assert_eq!(world.names(), ["ready"]);
        assert!(!is_loading.load(Ordering::SeqCst));
        go_on.send(()).unwrap();
        assert!(unloading.join().unwrap().unwrap());
        waiting.join().unwrap().unwrap();
    });
    drop(ready);
    assert_eq!(world.names(), ["ready", "next"]);
}

#[test]
fn a_model_that_panics_as_it_goes_is_gone() {
    let world = World::new(100, KeepAlive::For(Duration::ZERO));
    let on_drop: fn() = || panic!("a model that panics as it is dropped");
    let panics = world.fake_with(90, Some(Box::new(on_drop)));
    drop(world.acquire_with("panics", 90, || Ok(panics)).unwrap());
    // The thread that keeps time outlives it, too.
    drop(world.acquire("next", 90).unwrap());
    soon(|| world.names().is_empty());
}

#[test]
fn unused_models_go_after_a_while_and_used_ones_stay() {
    let keep_alive = Duration::from_millis(40);
    let world = World::new(100, KeepAlive::For(keep_alive));
    let used = world.acquire("used", 10).unwrap();
    let started = Instant::now();
    world.acquire("unused", 10).unwrap();
    soon(|| world.names() == ["used"]);
    assert!(started.elapsed() >= keep_alive);
    drop(used);
    soon(|| world.alive() == 0);
    assert!(started.elapsed() >= 2 * keep_alive);
}

#[test]
fn with_no_keep_alive_a_model_goes_with_its_last_lease() {
    let world = World::new(100, KeepAlive::For(Duration::ZERO));
    let lease = world.acquire("a", 10).unwrap();
    let clone = lease.clone();
    drop(lease);
    assert_eq!(world.names(), ["a"]);
    assert!(world.residency.loaded()[0].in_use);
    drop(clone);
    soon(|| world.alive() == 0);
    world.acquire("a", 10).unwrap();
    assert_eq!(world.loads(), 2);
}

#[test]
fn the_residency_ends_its_thread_and_leases_outlive_it() {
    let world = World::new(100, KeepAlive::For(Duration::from_secs(3600)));
    drop(world.acquire("a", 10).unwrap());
    let lease = world.acquire("b", 10).unwrap();
    let World {
        residency, alive, ..
    } = world;
    drop(residency);
    assert_eq!(lease.model().bytes.load(Ordering::SeqCst), 10);
    drop(lease);
    assert_eq!(
        alive.load(Ordering::SeqCst),
        0,
        "the thread holds nothing either"
    );
}

#[test]
fn what_is_loaded_is_told() {
    let world = World::new(100, KeepAlive::Forever);
    world.residency.pin(&key("pinned"), world.fake(7));
    let before = jiff::Timestamp::now();
    let _lease = world.acquire("used", 5).unwrap();
    let [used, pinned] = world.residency.loaded().try_into().unwrap();
    assert_eq!(
        (used.name.as_str(), used.role, used.memory_bytes),
        ("used", Role::Text, 5)
    );
    assert!(used.in_use && !used.pinned && used.last_used >= before);
    assert_eq!((pinned.name.as_str(), pinned.memory_bytes), ("pinned", 7));
    assert!(pinned.pinned && !pinned.in_use && pinned.last_used <= before);
}

/// Leases, evictions, failures and unloads by many threads: the budget holds at any moment, and no
/// model is dropped in somebody's hands.
#[test]
fn the_budget_holds_whatever_many_threads_do() {
    let world = World::new(100, KeepAlive::For(Duration::from_micros(200)));
    let in_memory = Arc::new(AtomicU64::new(0));
    let most = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..8u64 {
            let (world, in_memory, most) = (&world, &in_memory, &most);
            scope.spawn(move || {
                for step in 0..200u64 {
                    let number = (thread * 7 + step * 5) % 6;
                    let (name, bytes) = (format!("model {number}"), 20 + 10 * number);
                    let lease = world.acquire_with(&name, bytes, || {
                        if step % 31 == 30 {
                            return Err(Error::EmptyQuestion);
                        }
                        let now = in_memory.fetch_add(bytes, Ordering::SeqCst) + bytes;
                        most.fetch_max(now, Ordering::SeqCst);
                        let in_memory = Arc::clone(in_memory);
                        let leave = move || {
                            in_memory.fetch_sub(bytes, Ordering::SeqCst);
                        };
                        Ok(world.fake_with(bytes, Some(Box::new(leave))))
                    });
                    if let Ok(lease) = &lease {
                        assert!(
                            Arc::strong_count(lease.model()) >= 2,
                            "the residency has it, too"
                        );
                    }
                    if step % 17 == 16 {
                        let _ = world.residency.unload(&key(&name));
                    }
                }
            });
        }
    });
    assert!(most.load(Ordering::SeqCst) <= 100, "{most:?}");
    soon(|| world.alive() == 0);
    assert_eq!(in_memory.load(Ordering::SeqCst), 0);
}
