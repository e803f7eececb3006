//! Peaks cannot be known beforehand, but numbers that no machine reaches can.

use std::time::Duration;

use super::*;
use crate::Isa;

/// Far above any machine and far below what a loop that was optimised away would give, or a division
/// by almost no time.
const NONSENSE: f64 = 1e16;
const SHORT: Duration = Duration::from_micros(300);

fn tiers() -> impl Iterator<Item = Supported> {
    Isa::ALL.into_iter().filter_map(Supported::new)
}

fn assert_plausible(rate: f64, what: &str, cpu: Supported) {
    let plausible = 1e5..NONSENSE;
    assert!(plausible.contains(&rate), "{what} on {cpu:?}: {rate}");
}

#[test]
fn every_tier_has_plausible_peaks() {
    let team = Team::new(2).unwrap();
    for cpu in tiers() {
        let bytes = bandwidth::measure(cpu, &team, (4 << 20) + 12);
        assert_plausible(bytes, "read bandwidth", cpu);
        let operations = multiply_add::measure(cpu, &team, SHORT);
        assert_plausible(operations, "f32 operations", cpu);
        let operations = integer::measure(cpu, &team, SHORT);
        assert_plausible(operations, "integer operations", cpu);
    }
}

#[test]
fn a_rate_is_no_higher_than_the_steps_allow() {
    let team = Team::alone();
    let slow = timing::steps_a_second(&team, SHORT, |steps| {
        std::thread::sleep(Duration::from_micros(steps as u64));
    });
    assert!(slow <= 1e6, "a step took a microsecond at least: {slow}");
}

#[test]
fn a_pass_reads_every_value() {
    let team = Team::new(2).unwrap();
    let count = 3 * bandwidth::RUN + 128;
    let values = bandwidth::touched(&team, count);
    for cpu in tiers() {
        let sums = bandwidth::pass(cpu, &team, &values);
        assert_eq!(sums.iter().sum::<f32>(), count as f32, "{cpu:?}");
    }
    assert!(bandwidth::pass(Supported::Scalar, &team, &[]).is_empty());
}
