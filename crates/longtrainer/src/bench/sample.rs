//! Samples of a run: long enough to be timed, and what their spread is.

use std::time::Duration;

use crate::error::Result;

/// How long a sample lasts at least. A run of one sentence takes a millisecond, which a clock can
/// tell but anything can disturb.
pub(super) const LEAST: Duration = Duration::from_millis(500);

/// The middle of some samples and the ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// Of values, of which there is one at least.
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let end = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
        Self {
            median: median(&values),
            min: end(values.first()),
            max: end(values.last()),
        }
    }
}

impl Spread {
    /// Of runs a second, as milliseconds a run.
    pub(super) fn in_milliseconds(self) -> Self {
        Self {
            median: 1000.0 / self.median,
            min: 1000.0 / self.max,
            max: 1000.0 / self.min,
        }
    }
}

/// The middle of sorted values, or the mean of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted {
        [] => f64::NAN,
        _ if sorted.len() % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

/// How much of something a second is done by runs that do `amount` of it each: one run to warm up,
/// then samples of `least` at least. A run says how long its timed part took.
pub(super) fn rate(
    amount: usize,
    repeats: usize,
    least: Duration,
    mut run: impl FnMut() -> Result<Duration>,
) -> Result<Spread> {
    run()?;
    let mut rates = Vec::new();
    for _ in 0..repeats {
        let mut runs = 0;
        let mut elapsed = Duration::ZERO;
        while runs == 0 || elapsed < least {
            elapsed += run()?;
            runs += 1;
        }
        rates.push((amount * runs) as f64 / elapsed.as_secs_f64());
    }
    Ok(Spread::of(rates))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let spread = Spread::of(vec![3.0, 1.0, 100.0]);
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 3.0, 100.0));
        let spread = Spread::of(vec![4.0, 1.0, 2.0, 9.0]);
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 3.0, 9.0));
        let spread = Spread::of(vec![7.0]);
        assert_eq!((spread.min, spread.median, spread.max), (7.0, 7.0, 7.0));
    }

    #[test]
    fn the_first_run_is_not_counted_and_short_runs_are_repeated() {
        let mut runs = 0;
        let spread = rate(10, 2, Duration::from_secs(1), || {
            runs += 1;
            let is_warm_up = runs == 1;
            Ok(Duration::from_millis(if is_warm_up { 60_000 } else { 250 }))
        });
        assert_eq!(runs, 1 + 2 * 4);
        let spread = spread.unwrap();
        assert_eq!((spread.min, spread.median, spread.max), (40.0, 40.0, 40.0));
    }

    #[test]
    fn a_run_that_fails_ends_it() {
        let mut runs = 0;
        let failed = rate(1, 5, Duration::ZERO, || {
            runs += 1;
            match runs {
                1 | 2 => Ok(Duration::from_millis(1)),
                _ => Err(crate::Error::EmptyQuestion),
            }
        });
        assert!(failed.is_err());
        assert_eq!(runs, 3);
    }
}
