//! Timing a loop that runs in all threads of a team at once.

use std::time::{Duration, Instant};

use crate::Team;

/// How long a round of an arithmetic loop takes at least.
pub(super) const ROUND: Duration = Duration::from_millis(8);
/// Rounds; the best counts, because whatever disturbs a round makes it slower.
pub(super) const ROUNDS: usize = 3;
/// Tasks a thread and round: few enough to be long, enough that a late thread holds up nobody.
const TASKS: usize = 8;

/// Steps a second, all threads together, of a loop that does as many steps as it is told: the best
/// of [`ROUNDS`] rounds that take `round` at least.
pub(super) fn steps_a_second(team: &Team, round: Duration, work: impl Fn(usize) + Sync) -> f64 {
    let tasks = team.threads() * TASKS;
    let mut steps = 256;
    let mut best = 0.0f64;
    let mut rounds = 0;
    while rounds < ROUNDS {
        let started = Instant::now();
        team.run(tasks, |_| work(steps));
        let elapsed = started.elapsed();
        if elapsed < round {
            // Rounds that are too short find the number of steps, and wake the threads.
            steps *= 2;
            continue;
        }
        best = best.max((steps * tasks) as f64 / elapsed.as_secs_f64());
        rounds += 1;
    }
    best
}
