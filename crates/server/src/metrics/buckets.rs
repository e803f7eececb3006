//! The bounds of the histograms, in seconds but for the batch: from what the fastest machine does to
//! what nobody waits for.

/// Whole requests, from a look-up to a long answer.
pub(super) const REQUESTS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];
/// Waiting for a first token, in the queue or with the prompt.
pub(super) const FIRST_TOKEN: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0,
];
/// One token, or one step of the engine.
pub(super) const TOKEN: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 5.0,
];
/// Answers that get further in one step.
pub(super) const BATCH: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
