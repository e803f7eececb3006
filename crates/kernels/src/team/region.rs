//! One region of work, and the board on which it is published.
//!
//! The board is one atomic number: which region it is, whether it may still be joined, and how many
//! helpers are in it. A helper joins by counting itself in while the region is open; the caller
//! closes the region when its tasks are all taken and then waits until the count is zero. Between
//! these two moments, and only then, may a helper look at the region, which lives on the caller's
//! stack.

use std::any::Any;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// The tasks of a region and who has taken which.
pub(super) struct Region<'task> {
    task: &'task (dyn Fn(usize) + Sync),
    shares: Vec<Share>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// Consecutive tasks, on a cache line of their own: mostly one thread counts there.
#[repr(align(128))]
struct Share {
    next: AtomicUsize,
    end: usize,
}

impl<'task> Region<'task> {
    /// Cuts the tasks into one share a thread.
    pub(super) fn new(tasks: usize, threads: usize, task: &'task (dyn Fn(usize) + Sync)) -> Self {
        let start = |share: usize| tasks * share / threads;
        Self {
            task,
            shares: (0..threads)
                .map(|share| Share {
                    next: AtomicUsize::new(start(share)),
                    end: start(share + 1),
                })
                .collect(),
            panic: Mutex::new(None),
        }
    }

    /// Does the tasks of the thread's own share, then what is left of the others'. After a panic
    /// nobody starts another task.
    pub(super) fn work(&self, thread: usize) {
        for share in (0..self.shares.len()).map(|other| (thread + other) % self.shares.len()) {
            let share = &self.shares[share];
            loop {
                let task = share.next.fetch_add(1, Ordering::Relaxed);
                if task >= share.end {
                    break;
                }
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (self.task)(task))) {
                    self.stop(panic);
                }
            }
        }
    }

    fn stop(&self, panic: Box<dyn Any + Send>) {
        for share in &self.shares {
            share.next.store(share.end, Ordering::Relaxed);
        }
        let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(panic);
    }

    /// Goes on with the first panic of a task, if there was one.
    pub(super) fn resume_panic(self) {
        let panic = self
            .panic
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

/// Helpers in the region: the low bits of the state.
const HELPERS: u64 = (1 << 15) - 1;
/// Whether the region may be joined.
const OPEN: u64 = 1 << 15;
/// One more region: the high bits count them.
const NEXT: u64 = 1 << 16;

/// Where regions are published, one at a time.
#[derive(Debug)]
pub(super) struct Board {
    state: AtomicU64,
    region: UnsafeCell<*const Region<'static>>,
}

// SAFETY: the pointer is written only by the one caller who holds the team's lock, while the region
// is closed and no helper is counted in; helpers read it only after they have counted themselves
// into an open region, which happens after the write.
unsafe impl Sync for Board {}
// SAFETY: as above; the pointer itself belongs to no thread.
unsafe impl Send for Board {}

/// A published region. Dropping it closes the region and waits for the helpers that are in it.
pub(super) struct Published<'region> {
    board: &'region Board,
    region: PhantomData<&'region Region<'region>>,
}

/// A helper's place in an open region. Dropping it leaves the region.
pub(super) struct Ticket<'board> {
    board: &'board Board,
}

impl Board {
    pub(super) fn new() -> Self {
        Self {
            state: AtomicU64::new(0),
            region: UnsafeCell::new(std::ptr::null()),
        }
    }

    /// Opens a region. The caller holds the team's lock, so no other is open.
    pub(super) fn publish<'region>(
        &'region self,
        region: &'region Region<'region>,
    ) -> Published<'region> {
        // SAFETY: no region is open and no helper is in one (the last `Published` waited for that),
        // so nobody else looks at the pointer.
        unsafe { *self.region.get() = std::ptr::from_ref(region).cast() };
        let last = self.state.load(Ordering::Relaxed) & !(NEXT - 1);
        self.state.store((last + NEXT) | OPEN, Ordering::SeqCst);
        Published {
            board: self,
            region: PhantomData,
        }
    }

    /// Joins the open region if it is not the one `seen` last.
    pub(super) fn join(&self, seen: &mut u64) -> Option<Ticket<'_>> {
        let state = self.state.load(Ordering::Relaxed);
        if state & OPEN == 0 || state / NEXT == *seen {
            return None;
        }
        let joined =
            self.state
                .compare_exchange(state, state + 1, Ordering::Acquire, Ordering::Relaxed);
        joined.ok()?;
        *seen = state / NEXT;
        Some(Ticket { board: self })
    }

    /// Whether a region other than `seen` is open.
    pub(super) fn has_other_than(&self, seen: u64) -> bool {
        let state = self.state.load(Ordering::SeqCst);
        state & OPEN != 0 && state / NEXT != seen
    }
}

impl Ticket<'_> {
    /// Takes part in the region.
    pub(super) fn work(self, thread: usize) {
        // SAFETY: this helper is counted into the region, so its `Published` has not been dropped
        // and the region it borrows is alive; the count was taken with `Acquire` after the pointer
        // was written.
        let region = unsafe { &**self.board.region.get() };
        region.work(thread);
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.board.state.fetch_sub(1, Ordering::Release);
    }
}

impl Drop for Published<'_> {
    fn drop(&mut self) {
        self.board.state.fetch_and(!OPEN, Ordering::Relaxed);
        let mut spins = 0u32;
        while self.board.state.load(Ordering::Acquire) & HELPERS != 0 {
            spins = spins.wrapping_add(1);
            // A helper that takes so long may have lost its processor to this very loop.
            if spins.is_multiple_of(4096) {
                thread::yield_now();
            }
            std::hint::spin_loop();
        }
    }
}
