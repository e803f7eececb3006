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
fn a_rate_counts_the_steps_of_all_tasks() {
    let team = Team::alone();
    let pause = Duration::from_micros(50);
    let rate = timing::steps_a_second(&team, SHORT, |_| std::thread::sleep(pause));
    // 256 steps at least in each sleep of 50 microseconds at least.
    assert!(rate > 0.0, "{rate}");
    let slow = timing::steps_a_second(&team, SHORT, |steps| {
        std::thread::sleep(Duration::from_micros(steps as u64));
    });
    assert!(slow <= 1e6, "a step took a microsecond at least: {slow}");
}

#[test]
fn the_buffer_is_written_to_the_end() {
    let team = Team::alone();
    for bytes in [0, 4, (1 << 20) + 8, 3 << 20] {
        let rate = bandwidth::measure(Supported::Scalar, &team, bytes);
        assert!(rate.is_finite() || bytes == 0, "{bytes}: {rate}");
    }
}
