//! Every task once, whatever the timing.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use super::*;

#[test]
fn every_task_runs_once() {
    let team = Team::new(4).unwrap();
    for tasks in [0, 1, 2, 3, 7, 64, 1001] {
        let counts: Vec<AtomicU32> = (0..tasks).map(|_| AtomicU32::new(0)).collect();
        team.run(tasks, |task| {
            counts[task].fetch_add(1, Ordering::Relaxed);
        });
        assert!(
            counts
                .iter()
                .all(|count| count.load(Ordering::Relaxed) == 1)
        );
    }
}

#[test]
fn many_short_regions_and_pauses_that_put_helpers_to_sleep() {
    let team = Team::new(3).unwrap();
    let done = AtomicUsize::new(0);
    for round in 0..2000 {
        team.run(5, |_| {
            done.fetch_add(1, Ordering::Relaxed);
        });
        if round % 500 == 499 {
            thread::sleep(YIELD * 3);
        }
    }
    assert_eq!(done.into_inner(), 10_000);
}

#[test]
fn helpers_do_work() {
    let team = Team::new(2).unwrap();
    let caller = thread::current().id();
    let helped = AtomicBool::new(false);
    for _ in 0..50 {
        team.run(8, |_| {
            thread::sleep(Duration::from_millis(1));
            helped.fetch_or(thread::current().id() != caller, Ordering::Relaxed);
        });
    }
    assert!(helped.into_inner());
}

#[test]
fn several_callers_and_nested_regions_do_not_wait_for_each_other() {
    let team = Team::new(2).unwrap();
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..200 {
                    team.run(3, |_| {
                        team.run(2, |_| {
                            done.fetch_add(1, Ordering::Relaxed);
                        });
                    });
                }
            });
        }
    });
    assert_eq!(done.into_inner(), 3 * 200 * 6);
}

#[test]
fn a_panic_reaches_the_caller_and_the_team_goes_on() {
    let team = Team::new(2).unwrap();
    for panicking in [0, 9] {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            team.run(10, |task| assert!(task != panicking, "task {task}"));
        }));
        let message = caught.unwrap_err();
        let message = message.downcast_ref::<String>().unwrap();
        assert_eq!(message, &format!("task {panicking}"));
    }
    let done = AtomicUsize::new(0);
    team.run(10, |_| {
        done.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(done.into_inner(), 10);
}

#[test]
fn a_team_of_one_works_alone() {
    for team in [Team::new(0).unwrap(), Team::new(1).unwrap(), Team::alone()] {
        assert_eq!(team.threads(), 1);
        let done = AtomicUsize::new(0);
        team.run(3, |_| {
            done.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(done.into_inner(), 3);
    }
}

#[test]
fn rows_are_cut_into_runs_that_cover_them() {
    let team = Team::new(3).unwrap();
    for (rows, width, least) in [(0, 4, 1), (1, 4, 1), (100, 3, 1), (100, 3, 64), (7, 0, 1)] {
        let mut values = vec![0; rows * width];
        team.for_rows(&mut values, width, least, |first, run| {
            assert!(run.len() / width >= least.min(rows - first));
            for (at, value) in run.iter_mut().enumerate() {
                *value += first * width + at + 1;
            }
        });
        assert!(
            values
                .iter()
                .enumerate()
                .all(|(at, value)| *value == at + 1)
        );
    }
}
