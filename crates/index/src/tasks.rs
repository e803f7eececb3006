//! Work for a team of threads that each gather something.

use std::sync::{Mutex, PoisonError};

use longtrainer_kernels::Team;

use crate::Result;

/// Runs `task(state, 0)` to `task(state, tasks - 1)` on the team. Each thread that takes part
/// gathers in a state of its own, made by `start`; all states are returned. After an error nobody
/// starts another task, and one of the errors is returned.
pub(crate) fn gather<S: Send>(
    team: &Team,
    tasks: usize,
    start: impl Fn() -> S + Sync,
    task: impl Fn(&mut S, usize) -> Result<()> + Sync,
) -> Result<Vec<S>> {
    let idle: Mutex<Vec<S>> = Mutex::new(Vec::new());
    let failure = Mutex::new(None);
    team.run(tasks, |number| {
        if lock(&failure).is_some() {
            return;
        }
        let waiting = lock(&idle).pop();
        let mut state = waiting.unwrap_or_else(&start);
        match task(&mut state, number) {
            Ok(()) => lock(&idle).push(state),
            Err(error) => *lock(&failure) = Some(error),
        }
    });
    let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    match failure {
        Some(error) => Err(error),
        None => Ok(idle.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

/// Runs tasks whose results are wanted in order.
pub(crate) fn map<T: Send>(
    team: &Team,
    tasks: usize,
    task: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let gathered = gather(
        team,
        tasks,
        Vec::new,
        |done: &mut Vec<(usize, T)>, number| {
            done.push((number, task(number)?));
            Ok(())
        },
    )?;
    let mut all: Vec<_> = gathered.into_iter().flatten().collect();
    all.sort_unstable_by_key(|&(number, _)| number);
    Ok(all.into_iter().map(|(_, value)| value).collect())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
