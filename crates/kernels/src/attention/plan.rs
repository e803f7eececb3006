//! Which tasks a call has, and in which order they are done.
//!
//! A few rows a head of keys are bound by reading the cache: `decode` cuts the positions into pages
//! and shares those out. Many rows are bound by arithmetic: `prefill` cuts the queries into tiles. A
//! call may have sequences of both kinds; the tasks of all of them lie in one list, the largest first,
//! so that no thread is left with a large one while the others wait.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::disjoint::Disjoint;

use super::causal::Job;
use super::decode::Decoding;
use super::pool::PAGE_TOKENS;
use super::prefill::prefill;
use super::product::GROUP;

/// With this many rows of queries a head of keys, or fewer, the positions are shared out.
const DECODE_ROWS: usize = 48;
/// Rows of a tile, or a few less, where there are tasks enough: all of them share a widened block.
const LARGE_TILE: usize = 192;
/// The same where there are few tokens and heads.
const SMALL_TILE: usize = 48;
/// Tiles a thread that are enough.
const TILES_A_THREAD: usize = 4;
/// Tasks of pages a thread that are enough.
const PAGE_TASKS_A_THREAD: usize = 8;
/// Pages of a task where there are many: enough that starting it costs nothing.
const MOST_PAGES: usize = 8;

/// The tasks of a call.
pub(super) struct Plan<'a> {
    ways: Vec<Way<'a>>,
    tasks: Vec<Task>,
    /// Scratch that all decoding sequences take together.
    partials: usize,
    next: AtomicUsize,
}

/// How a sequence is computed.
enum Way<'a> {
    Decode(Decoding<'a>),
    Prefill(Job<'a>),
}

/// Some pages of a head and all rows, or all pages and a tile of tokens.
struct Task {
    way: usize,
    head: usize,
    part: Range<usize>,
    cost: usize,
}

impl<'a> Plan<'a> {
    /// Cuts the work of some sequences up for so many threads.
    pub(super) fn new(jobs: &[Job<'a>], threads: usize) -> Self {
        let (mut ways, mut partials) = (Vec::with_capacity(jobs.len()), 0);
        for job in jobs.iter().filter(|job| job.queries.count() > 0) {
            ways.push(match is_decoding(job) {
                true => {
                    let decoding = Decoding::new(*job, partials);
                    partials = decoding.partials().end;
                    Way::Decode(decoding)
                }
                false => Way::Prefill(*job),
            });
        }
        let pages = pages_a_task(&ways, threads);
        let rows = rows_a_tile(&ways, threads);
        let mut tasks = Vec::new();
        for (number, way) in ways.iter_mut().enumerate() {
            match way {
                Way::Decode(decoding) => add_pages(&mut tasks, number, decoding, pages),
                Way::Prefill(job) => add_tiles(&mut tasks, number, job, rows),
            }
        }
        tasks.sort_by_key(|task| Reverse(task.cost));
        Self {
            ways,
            tasks,
            partials,
            next: AtomicUsize::new(0),
        }
    }

    /// How many tasks there are.
    pub(super) fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// Scratch that [`run_next`](Self::run_next) asks for.
    pub(super) fn partials(&self) -> usize {
        self.partials
    }

    /// Does the largest task that nobody has begun; nothing if there is none. `partials` and `out`
    /// are used by nobody but the tasks of this plan.
    pub(super) fn run_next(&self, partials: &Disjoint<'_, f32>, out: &Disjoint<'_, f32>) {
        let Some(task) = self.tasks.get(self.next.fetch_add(1, Ordering::Relaxed)) else {
            return;
        };
        match &self.ways[task.way] {
            Way::Decode(decoding) => decoding.run(task.head, task.part.clone(), partials, out),
            Way::Prefill(job) => prefill(job, task.head, task.part.clone(), out),
        }
    }
}

fn is_decoding(job: &Job<'_>) -> bool {
    job.queries.count() * job.group <= DECODE_ROWS
}

fn add_pages(tasks: &mut Vec<Task>, way: usize, decoding: &mut Decoding<'_>, most: usize) {
    let pages = decoding.pages();
    // A page is read for a single row as long as for a group.
    let rows = decoding.rows().max(GROUP);
    for head in 0..decoding.heads() {
        for start in pages.clone().step_by(most) {
            let part = start..pages.end.min(start + most);
            decoding.expect_task(head);
            tasks.push(Task {
                way,
                head,
                cost: rows * part.len() * PAGE_TOKENS,
                part,
            });
        }
    }
}

fn add_tiles(tasks: &mut Vec<Task>, way: usize, job: &Job<'_>, rows: usize) {
    let tokens = job.queries.count();
    let tile = (rows / job.group).max(1);
    for first in (0..tokens).step_by(tile) {
        let part = first..tokens.min(first + tile);
        let seen = job.visible(part.end - 1).to - job.visible(first).from;
        for head in 0..job.shape.kv_heads {
            tasks.push(Task {
                way,
                head,
                cost: part.len() * job.group * seen,
                part: part.clone(),
            });
        }
    }
}

/// How many pages a task has: several only where there are tasks enough.
fn pages_a_task(ways: &[Way<'_>], threads: usize) -> usize {
    let pages = ways.iter().map(|way| match way {
        Way::Decode(decoding) => decoding.heads() * decoding.pages().len(),
        Way::Prefill(_) => 0,
    });
    let most = pages.sum::<usize>() / (threads * PAGE_TASKS_A_THREAD).max(1);
    most.clamp(1, MOST_PAGES)
}

/// How many rows a tile has: many only where there are tiles enough.
fn rows_a_tile(ways: &[Way<'_>], threads: usize) -> usize {
    let rows = ways.iter().map(|way| match way {
        Way::Decode(_) => 0,
        Way::Prefill(job) => job.queries.count() * job.group * job.shape.kv_heads,
    });
    match rows.sum::<usize>() / LARGE_TILE < TILES_A_THREAD * threads {
        true => SMALL_TILE,
        false => LARGE_TILE,
    }
}
