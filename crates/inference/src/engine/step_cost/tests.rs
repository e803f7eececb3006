//! The estimate against known costs, and drafts against what they bring by hand.

use super::*;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Measured at the sizes of the list, by a formula.
fn measured(rows: &[usize], formula: impl Fn(f64) -> f64) -> StepCost {
    let mut cost = StepCost::new();
    for &rows in rows {
        cost.record(rows, seconds(formula(rows as f64)));
    }
    cost
}

fn assert_near(value: f64, expected: f64) {
    let tolerance = 1e-6 * expected;
    assert!(
        (value - expected).abs() <= tolerance,
        "{value}, not {expected}"
    );
}

#[test]
fn a_straight_line_is_found_again_at_every_size() {
    let line = |rows: f64| 0.02 + 0.001 * rows;
    // 5 and 150 are no size's first.
    for points in [&[1, 5, 16, 150][..], &[4, 32], &[10, 20]] {
        let cost = measured(points, line);
        for rows in 1..400 {
            assert_near(cost.estimate(rows), line(rows as f64));
        }
    }
}

#[test]
fn a_bent_line_is_followed() {
    let cost = measured(&[1, 8, 16], |rows| rows.max(8.0));
    for (rows, expected) in [(1, 8.0), (5, 8.0), (8, 8.0), (12, 12.0), (16, 16.0)] {
        assert_near(cost.estimate(rows), expected);
    }
    // Beyond, no steeper than 16 / (16 + 8) a row.
    assert_near(cost.estimate(22), 20.0);
}

#[test]
fn without_measurements_more_rows_cost_little_more() {
    let mut cost = StepCost::new();
    assert_near(cost.estimate(8) / cost.estimate(0), 16.0 / 9.0);
    cost.record(0, seconds(5.0));
    assert_near(cost.estimate(1), 0.009);
    cost.record(4, seconds(0.12));
    for (rows, expected) in [(1, 0.09), (4, 0.12), (16, 0.24)] {
        assert_near(cost.estimate(rows), expected);
    }
}

#[test]
fn noise_never_makes_more_rows_cheaper_than_none() {
    let falling = measured(&[1, 2, 3], |rows| 0.01 / rows);
    for rows in 3..1000 {
        assert_near(falling.estimate(rows), 0.01 / 3.0);
    }
    let steep = measured(&[8, 12], |rows| rows * rows);
    assert!((1..8).all(|rows| steep.estimate(rows) > 0.0));
}

#[test]
fn the_mean_follows_the_machine() {
    let mut cost = StepCost::new();
    for millis in [30, 20, 10, 20, 20, 20, 20, 20] {
        cost.record(2, Duration::from_millis(millis));
        if millis == 10 {
            assert_near(cost.estimate(2), 0.02);
        }
    }
    cost.record(2, Duration::from_millis(100));
    assert_near(cost.estimate(2), 0.03);
    for _ in 0..60 {
        cost.record(2, Duration::from_millis(5));
    }
    assert!((cost.estimate(2) - 0.005).abs() < 0.0001);
}

#[test]
fn a_size_that_was_long_unused_is_measured_anew() {
    let mut cost = measured(&[1, 4], |rows| if rows > 1.0 { 9.0 } else { 0.1 });
    assert_near(cost.estimate(4), 9.0);
    for _ in 0..FORGOTTEN_AFTER {
        cost.record(1, seconds(0.1));
    }
    assert!(cost.estimate(4) < 0.2, "the hiccup is forgotten");
    cost.record(4, seconds(0.15));
    assert_near(cost.estimate(4), 0.15);
}

#[test]
fn a_draft_is_as_long_as_it_pays() {
    let flat = measured(&SIZES, |_| 0.1);
    let linear = measured(&SIZES, |rows| 0.1 * rows);
    for rows in [1, 3, 20, 64] {
        assert_eq!(best_draft_length(0.0, rows, 8, &flat), 0);
        assert_eq!(best_draft_length(1.0, rows, 8, &flat), 8);
        for p in [0.0, 0.5, 0.9, 1.0] {
            assert_eq!(best_draft_length(p, rows, 8, &linear), 0, "{p} {rows}");
        }
    }
    assert_eq!(best_draft_length(1.0, 1, 0, &flat), 0);
    assert_eq!(
        best_draft_length(0.005, 1, 1, &flat),
        0,
        "half a percent is nothing"
    );
    assert_eq!(best_draft_length(0.02, 1, 1, &flat), 1);
    assert_eq!(best_draft_length(f64::NAN, 1, 8, &flat), 0);
}

#[test]
fn the_length_is_the_best_of_all() {
    let cost = measured(&SIZES, |rows| {
        0.1 + 0.01 * rows + 0.05 * f64::from(rows >= 6.0)
    });
    for rows in [1, 2, 5, 9, 30] {
        for percent in 0..=100 {
            let p = f64::from(percent) / 100.0;
            let speed = |drafted: usize| {
                let more: f64 = (1..=drafted).map(|nth| p.powi(nth as i32)).sum();
                (rows as f64 + more) / cost.estimate(rows + drafted)
            };
            let best = best_draft_length(p, rows, 12, &cost);
            let fastest = (1..=12).map(speed).fold(speed(0), f64::max);
            match best {
                0 => assert!(fastest <= 1.0101 * speed(0)),
                _ => assert!(speed(best) > 0.9999 * fastest && fastest > speed(0)),
            }
        }
    }
}

#[test]
fn sizes_that_nobody_measured_are_tried_until_they_are_known() {
    let truth = |rows: usize| if rows < 7 { 0.1 * rows as f64 } else { 0.11 };
    let mut cost = StepCost::new();
    let mut lengths = Vec::new();
    for _ in 0..50 {
        let drafted = best_draft_length(0.9, 1, 12, &cost);
        cost.record(1 + drafted, seconds(truth(1 + drafted)));
        cost.record(1, seconds(truth(1)));
        lengths.push(drafted);
    }
    assert!(
        lengths[20..].iter().all(|&drafted| drafted >= 7),
        "{lengths:?}"
    );
}
