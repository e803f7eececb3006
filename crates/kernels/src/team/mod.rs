//! A thread team for regions of a few microseconds.
//!
//! Decoding a token is some 150 parallel regions in a few milliseconds. A work-stealing pool spends
//! more on handing out such a region than the region takes, so the threads of a [`Team`] stay awake
//! between regions that follow each other closely: they spin, then yield, then sleep.
//!
//! A region is a number of independent tasks. Each thread begins with a share of its own and then
//! helps the others, so a thread that the system has put aside delays nobody for longer than the one
//! task that it is in. The caller works too. If the team is busy with another caller's region (two
//! models at once, or a task that starts a region), the caller does its tasks alone: nobody waits,
//! and no more threads run than callers and the team have.
//!
//! What a task computes must not depend on who runs it; then no result depends on the number of
//! threads.

mod region;
#[cfg(test)]
mod tests;

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::disjoint::Disjoint;

use region::{Board, Region};

/// How long an idle thread spins before it lets others have its processor.
const SPIN: Duration = Duration::from_micros(50);
/// How long it goes on looking for work, yielding, before it sleeps. Longer than the pause between
/// two tokens, in which the caller samples.
const YIELD: Duration = Duration::from_micros(1500);

/// Threads that run the tasks of short regions together.
#[derive(Debug)]
pub struct Team {
    shared: Arc<Shared>,
    /// Held by the caller whose region the team is running.
    busy: Mutex<()>,
    helpers: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    board: Board,
    /// Helpers that sleep or are about to.
    sleepers: AtomicUsize,
    stopping: AtomicBool,
}

/// Processors that this process may use: the machine's, less what its affinity mask and its control
/// group's quota leave out.
pub fn default_threads() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

impl Team {
    /// A team of this many threads, the caller counted; 0 counts as 1.
    ///
    /// # Errors
    ///
    /// What the system says when it refuses to start a thread.
    pub fn new(threads: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            board: Board::new(),
            sleepers: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        });
        let mut team = Self {
            shared,
            busy: Mutex::new(()),
            helpers: Vec::new(),
        };
        for number in 1..threads.max(1) {
            let shared = Arc::clone(&team.shared);
            let helper = thread::Builder::new().name(format!("kernel helper {number}"));
            team.helpers
                .push(helper.spawn(move || help(&shared, number))?);
        }
        Ok(team)
    }

    /// The team that everybody shares who has not asked for a number of threads: one thread a
    /// processor, as [`default_threads`] counts them; fewer if the system refuses to start them.
    pub fn shared() -> &'static Arc<Team> {
        static SHARED: OnceLock<Arc<Team>> = OnceLock::new();
        SHARED.get_or_init(|| {
            Arc::new(Team::new(default_threads()).unwrap_or_else(|_| Team::alone()))
        })
    }

    /// A team of the caller alone.
    pub fn alone() -> Self {
        Self {
            shared: Arc::new(Shared {
                board: Board::new(),
                sleepers: AtomicUsize::new(0),
                stopping: AtomicBool::new(false),
            }),
            busy: Mutex::new(()),
            helpers: Vec::new(),
        }
    }

    /// Threads that work on a region, the caller counted.
    pub fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Runs `task(0)` to `task(tasks - 1)`, each once, in any order and on any thread of the team,
    /// and returns when all are done.
    ///
    /// # Panics
    ///
    /// When a task panics: with its message, after all threads have left the region.
    pub fn run(&self, tasks: usize, task: impl Fn(usize) + Sync) {
        if tasks < 2 || self.helpers.is_empty() {
            return (0..tasks).for_each(task);
        }
        let _busy = match self.busy.try_lock() {
            Ok(busy) => busy,
            // The region of a task that panicked is over all the same.
            Err(TryLockError::Poisoned(busy)) => busy.into_inner(),
            Err(TryLockError::WouldBlock) => return (0..tasks).for_each(task),
        };
        let region = Region::new(tasks, self.threads(), &task);
        let open = self.shared.board.publish(&region);
        if self.shared.sleepers.load(Ordering::SeqCst) > 0 {
            self.helpers
                .iter()
                .for_each(|helper| helper.thread().unpark());
        }
        region.work(0);
        drop(open);
        region.resume_panic();
    }

    /// Cuts rows of `width` values into runs of at least `least` rows and calls
    /// `task(first row, values of the run)` for each, as [`run`](Self::run) does. A last partial row
    /// belongs to no run.
    pub fn for_rows<T: Send>(
        &self,
        values: &mut [T],
        width: usize,
        least: usize,
        task: impl Fn(usize, &mut [T]) + Sync,
    ) {
        /// Runs a thread: enough that a late thread does not hold up the others.
        const RUNS: usize = 4;
        let rows = values.len().checked_div(width).unwrap_or(0);
        let run = rows.div_ceil(self.threads() * RUNS).max(least).max(1);
        let values = Disjoint::new(values);
        self.run(rows.div_ceil(run), |index| {
            let first = index * run;
            let count = run.min(rows - first);
            // SAFETY: each task takes its own rows, once.
            task(first, unsafe { values.part(first * width, count * width) });
        });
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            // A helper catches the panics of tasks and has nothing else that could panic.
            let _ = helper.join();
        }
    }
}

/// The life of a helper: waits for a region, works on it, waits again.
fn help(shared: &Shared, number: usize) {
    let mut seen = 0;
    while let Some(ticket) = wait(shared, &mut seen) {
        ticket.work(number);
    }
}

/// Spins, yields, then sleeps until there is a region that this helper has not seen; `None` when the
/// team is being dropped.
fn wait<'shared>(shared: &'shared Shared, seen: &mut u64) -> Option<region::Ticket<'shared>> {
    let mut since = Instant::now();
    let mut rounds = 0u32;
    loop {
        if let Some(ticket) = shared.board.join(seen) {
            return Some(ticket);
        }
        if shared.stopping.load(Ordering::SeqCst) {
            return None;
        }
        rounds = rounds.wrapping_add(1);
        // Asking for the time is dearer than a spin.
        if !rounds.is_multiple_of(64) {
            std::hint::spin_loop();
            continue;
        }
        match since.elapsed() {
            idle if idle < SPIN => {}
            idle if idle < YIELD => thread::yield_now(),
            _ => {
                sleep(shared, *seen);
                since = Instant::now();
            }
        }
    }
}

/// Sleeps until somebody publishes a region or drops the team. Whoever publishes looks at `sleepers`
/// after the board has the region, and this looks at the board after it has counted itself, so one
/// of the two sees the other.
fn sleep(shared: &Shared, seen: u64) {
    shared.sleepers.fetch_add(1, Ordering::SeqCst);
    if !shared.board.has_other_than(seen) && !shared.stopping.load(Ordering::SeqCst) {
        thread::park();
    }
    shared.sleepers.fetch_sub(1, Ordering::SeqCst);
}
