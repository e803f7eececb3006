//! The figures of the engines, a series for each model that was loaded.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use longtrainer::{EngineMetrics, Outcome, RequestFigures, StepFigures};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::buckets;

/// The figures of all engines.
pub(crate) struct EngineFigures {
    families: Families,
    /// Those of each model, so that a step looks one name up and not one for each figure.
    of_models: RwLock<HashMap<String, Arc<OfModel>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Model {
    model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    model: String,
    outcome: &'static str,
}

type Histograms = Family<Model, Histogram, fn() -> Histogram>;

struct Families {
    waiting: Family<Model, Gauge>,
    running: Family<Model, Gauge>,
    cache_bytes: Family<Model, Gauge>,
    kept_tokens: Family<Model, Gauge>,
    prompt_tokens: Family<Model, Counter>,
    cached_tokens: Family<Model, Counter>,
    chosen_tokens: Family<Model, Counter>,
    drafted_tokens: Family<Model, Counter>,
    accepted_tokens: Family<Model, Counter>,
    batch: Histograms,
    step: Histograms,
    queue: Histograms,
    first_token: Histograms,
    token: Histograms,
    gap: Histograms,
    requests: Family<Ended, Counter>,
}

/// The same for one model.
struct OfModel {
    waiting: Gauge,
    running: Gauge,
    cache_bytes: Gauge,
    kept_tokens: Gauge,
    prompt_tokens: Counter,
    cached_tokens: Counter,
    chosen_tokens: Counter,
    drafted_tokens: Counter,
    accepted_tokens: Counter,
    batch: Histogram,
    step: Histogram,
    queue: Histogram,
    first_token: Histogram,
    token: Histogram,
    gap: Histogram,
}

impl EngineFigures {
    pub(super) fn register(registry: &mut Registry) -> Arc<Self> {
        let families = Families::new();
        families.register(registry);
        Arc::new(Self {
            families,
            of_models: RwLock::default(),
        })
    }

    /// Forgets the state of engines whose models are not in memory any more; what they have done
    /// stays counted.
    pub(super) fn keep_only(&self, loaded: &HashSet<String>) {
        let mut of_models = self
            .of_models
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        of_models.retain(|model, _| {
            let stays = loaded.contains(model);
            if !stays {
                self.families.forget_state(model);
            }
            stays
        });
    }

    fn of(&self, model: &str) -> Arc<OfModel> {
        let known = self
            .of_models
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(of_model) = known.get(model) {
            return Arc::clone(of_model);
        }
        drop(known);
        let mut of_models = self
            .of_models
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(self.families.of(model));
        Arc::clone(of_models.entry(model.to_owned()).or_insert_with(new))
    }
}

impl EngineMetrics for EngineFigures {
    fn step(&self, model: &str, figures: &StepFigures) {
        let of = self.of(model);
        of.waiting.set(signed(figures.waiting));
        of.running.set(signed(figures.running));
        of.cache_bytes.set(signed(figures.cache_bytes));
        of.kept_tokens.set(signed(figures.kept_tokens));
        of.prompt_tokens.inc_by(figures.prompt_tokens as u64);
        of.cached_tokens.inc_by(figures.cached_tokens as u64);
        of.chosen_tokens.inc_by(figures.chosen_tokens as u64);
        of.drafted_tokens.inc_by(figures.drafted_tokens as u64);
        of.accepted_tokens.inc_by(figures.accepted_tokens as u64);
        if figures.decoding > 0 {
            of.batch.observe(figures.decoding as f64);
        }
        of.step.observe(figures.duration.as_secs_f64());
    }

    fn request(&self, model: &str, figures: &RequestFigures) {
        let ended = Ended {
            model: model.to_owned(),
            outcome: outcome(figures.outcome),
        };
        self.families.requests.get_or_create_owned(&ended).inc();
        let usage = &figures.usage;
        if figures.outcome == Outcome::Refused || usage.time_to_first_token == Duration::ZERO {
            return;
        }
        let of = self.of(model);
        of.queue.observe(usage.queue_time.as_secs_f64());
        of.first_token
            .observe(usage.time_to_first_token.as_secs_f64());
        if usage.completion_tokens > 1 {
            let gaps = (usage.completion_tokens - 1) as f64;
            of.token.observe(usage.decode_time.as_secs_f64() / gaps);
            of.gap.observe(figures.longest_gap.as_secs_f64());
        }
    }
}

impl Families {
    fn new() -> Self {
        let tokens = || Histograms::new_with_constructor(|| Histogram::new(buckets::TOKEN));
        let waits = || Histograms::new_with_constructor(|| Histogram::new(buckets::FIRST_TOKEN));
        Self {
            waiting: Family::default(),
            running: Family::default(),
            cache_bytes: Family::default(),
            kept_tokens: Family::default(),
            prompt_tokens: Family::default(),
            cached_tokens: Family::default(),
            chosen_tokens: Family::default(),
            drafted_tokens: Family::default(),
            accepted_tokens: Family::default(),
            batch: Histograms::new_with_constructor(|| Histogram::new(buckets::BATCH)),
            step: tokens(),
            queue: waits(),
            first_token: waits(),
            token: tokens(),
            gap: tokens(),
            requests: Family::default(),
        }
    }

    fn register(&self, registry: &mut Registry) {
        let gauges = [
            (
                "waiting",
                "Requests that wait for the engine",
                &self.waiting,
            ),
            (
                "running",
                "Requests that the engine works on",
                &self.running,
            ),
            (
                "cache_bytes",
                "Memory of keys and values",
                &self.cache_bytes,
            ),
            (
                "kept_tokens",
                "Tokens whose keys and values are kept for later requests",
                &self.kept_tokens,
            ),
        ];
        for (name, help, family) in gauges {
            registry.register(format!("engine_{name}"), help, family.clone());
        }
        let counters = [
            (
                "prompt_tokens",
                "Tokens of prompts that were read",
                &self.prompt_tokens,
            ),
            (
                "cached_tokens",
                "Tokens of prompts that were known and not read again",
                &self.cached_tokens,
            ),
            (
                "generated_tokens",
                "Tokens that were chosen",
                &self.chosen_tokens,
            ),
            (
                "drafted_tokens",
                "Tokens that were guessed",
                &self.drafted_tokens,
            ),
            (
                "accepted_tokens",
                "Guessed tokens that were right",
                &self.accepted_tokens,
            ),
        ];
        for (name, help, family) in counters {
            registry.register(format!("engine_{name}"), help, family.clone());
        }
        let histograms = [
            (
                "batch_size",
                "Answers that got further in a step",
                &self.batch,
            ),
            ("step_duration_seconds", "Time of a step", &self.step),
            (
                "queue_time_seconds",
                "Time from a request to the start of work on it",
                &self.queue,
            ),
            (
                "time_to_first_token_seconds",
                "Time from a request to its first token, the queue included",
                &self.first_token,
            ),
            (
                "time_between_tokens_seconds",
                "Mean time between the tokens of an answer",
                &self.token,
            ),
            (
                "longest_token_gap_seconds",
                "Longest time between two tokens of an answer",
                &self.gap,
            ),
        ];
        for (name, help, family) in histograms {
            registry.register(format!("engine_{name}"), help, family.clone());
        }
        registry.register(
            "engine_requests",
            "Requests that have ended, by how",
            self.requests.clone(),
        );
    }

    fn of(&self, model: &str) -> OfModel {
        let labels = &Model {
            model: model.to_owned(),
        };
        OfModel {
            waiting: self.waiting.get_or_create_owned(labels),
            running: self.running.get_or_create_owned(labels),
            cache_bytes: self.cache_bytes.get_or_create_owned(labels),
            kept_tokens: self.kept_tokens.get_or_create_owned(labels),
            prompt_tokens: self.prompt_tokens.get_or_create_owned(labels),
            cached_tokens: self.cached_tokens.get_or_create_owned(labels),
            chosen_tokens: self.chosen_tokens.get_or_create_owned(labels),
            drafted_tokens: self.drafted_tokens.get_or_create_owned(labels),
            accepted_tokens: self.accepted_tokens.get_or_create_owned(labels),
            batch: self.batch.get_or_create_owned(labels),
            step: self.step.get_or_create_owned(labels),
            queue: self.queue.get_or_create_owned(labels),
            first_token: self.first_token.get_or_create_owned(labels),
            token: self.token.get_or_create_owned(labels),
            gap: self.gap.get_or_create_owned(labels),
        }
    }

    fn forget_state(&self, model: &str) {
        let labels = Model {
            model: model.to_owned(),
        };
        for family in [
            &self.waiting,
            &self.running,
            &self.cache_bytes,
            &self.kept_tokens,
        ] {
            family.remove(&labels);
        }
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Complete => "complete",
        Outcome::Cancelled => "cancelled",
        Outcome::Failed => "failed",
        Outcome::Refused => "refused",
    }
}

/// A gauge's number; what is larger than any memory is the largest.
fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
