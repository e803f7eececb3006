//! Figures that are looked up when somebody asks for them.

use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use longtrainer::{LoadedModel, LongTrainer, MemoryBudget, StoreFigures};
use memory_stats::memory_stats;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::PREFIX;

/// A number of bytes or things, which never is negative.
type Amount = Gauge<u64, AtomicU64>;
/// A point in time, in seconds since 1970.
type Time = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Resident {
    model: String,
    role: String,
}

/// How much the store and the models take.
pub(super) fn service(trainer: &LongTrainer, loaded: &[LoadedModel]) -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    store(&mut registry, trainer);
    residency(&mut registry, trainer.memory_budget(), loaded);
    let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "The version of the program", version);
    registry
}

/// What the process takes, under the names that every exporter uses.
pub(super) fn process(start: SystemTime) -> Registry {
    let mut registry = Registry::with_prefix("process");
    if let Some(memory) = memory_stats() {
        let resident = memory.physical_mem as u64;
        amount(
            &mut registry,
            "resident_memory_bytes",
            "Resident memory",
            resident,
        );
    }
    let started = Time::default();
    let since_1970 = start.duration_since(SystemTime::UNIX_EPOCH);
    started.set(since_1970.unwrap_or_default().as_secs_f64());
    registry.register("start_time_seconds", "When the server was started", started);
    registry
}

fn store(registry: &mut Registry, trainer: &LongTrainer) {
    let figures = trainer.store_figures();
    let readable = u64::from(figures.is_ok());
    amount(
        registry,
        "store_readable",
        "1 if the store can be read, else 0",
        readable,
    );
    match figures {
        Ok(figures) => contents(registry, &figures),
        Err(error) => {
            tracing::warn!(error = error.for_log(), "no figures of the store");
        }
    }
}

fn contents(registry: &mut Registry, figures: &StoreFigures) {
    for (name, help, value) in [
        ("bots", "Bots", figures.bots),
        ("documents", "Documents of all bots", figures.documents),
        (
            "chunks",
            "Searchable chunks of all documents",
            figures.chunks,
        ),
        ("chats", "Chats of both kinds", figures.chats),
        ("turns", "Turns of all chats", figures.turns),
        ("pictures", "Copies of pictures", figures.pictures),
        ("jobs", "Jobs, those that are done included", figures.jobs),
        ("file_bytes", "Bytes of the data file", figures.file_bytes),
    ] {
        amount(registry, &format!("store_{name}"), help, value);
    }
}

pub(super) fn residency(registry: &mut Registry, budget: MemoryBudget, loaded: &[LoadedModel]) {
    let memory = Family::<Resident, Amount>::default();
    for model in loaded {
        let labels = Resident {
            model: model.name.clone(),
            role: model.role.to_string(),
        };
        memory.get_or_create_owned(&labels).set(model.memory_bytes);
    }
    registry.register(
        "model_memory_bytes",
        "Memory that a model in memory is counted as",
        memory,
    );
    let (count, bytes) = (
        loaded.len() as u64,
        loaded.iter().map(|model| model.memory_bytes).sum(),
    );
    amount(registry, "models_loaded", "Models in memory", count);
    amount(
        registry,
        "models_memory_bytes",
        "Memory that all models in memory are counted as",
        bytes,
    );
    // Without a budget there is no such series: no number says `unlimited`.
    if let MemoryBudget::Bytes(budget) = budget {
        let help = "Memory that all models may take together";
        amount(registry, "models_memory_budget_bytes", help, budget);
    }
}

fn amount(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge = Amount::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}
