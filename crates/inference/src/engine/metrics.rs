//! What an engine tells about its work.

use std::time::Duration;

use crate::Usage;

/// Gets the figures of an engine as they come, on its own thread: calls must be short. A server puts
/// them into its gauges and histograms.
pub trait EngineMetrics: Send + Sync {
    /// A step is done.
    fn step(&self, model: &str, figures: &StepFigures);
    /// A request has ended.
    fn request(&self, model: &str, figures: &RequestFigures);
}

/// The figures of one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepFigures {
    /// Requests that wait.
    pub waiting: usize,
    /// Requests that are worked on.
    pub running: usize,
    /// Those of them whose answer got further in this step: the batch.
    pub decoding: usize,
    /// Tokens of prompts that were read.
    pub prompt_tokens: usize,
    /// Tokens of prompts that did not have to be read, because their keys and values were known.
    pub cached_tokens: usize,
    /// Tokens that were chosen.
    pub chosen_tokens: usize,
    /// Tokens that were guessed.
    pub drafted_tokens: usize,
    /// Guessed tokens that were right.
    pub accepted_tokens: usize,
    /// How long the step took.
    pub duration: Duration,
    /// Memory of keys and values, in bytes.
    pub cache_bytes: usize,
    /// Tokens whose keys and values are kept for later requests.
    pub kept_tokens: usize,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With a whole answer, or one of the length asked for.
    Complete,
    /// Nobody wanted the answer any more.
    Cancelled,
    /// With an error.
    Failed,
    /// Too many were waiting.
    Refused,
}

/// The figures of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestFigures {
    /// How it ended.
    pub outcome: Outcome,
    /// What it cost so far.
    pub usage: Usage,
    /// The longest time between two of its tokens.
    pub longest_gap: Duration,
}
