//! The server's figures, as Prometheus reads them.
//!
//! What happens is counted as it happens: [`http`] by a layer around all routes, [`engine`] by the
//! engines themselves. What simply is (how much the store holds, what is loaded, what the process
//! takes) is looked up when somebody asks: [`scraped`].

mod buckets;
mod engine;
pub(crate) mod http;
mod scraped;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use longtrainer::models::Role;
use longtrainer::{EngineMetrics, LongTrainer};
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use engine::EngineFigures;
use http::HttpMetrics;

/// What every name begins with.
const PREFIX: &str = "longtrainer";

/// The server's figures.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) http: HttpMetrics,
    engine: Arc<EngineFigures>,
    /// The whole trainer, whoever asks: figures are about all of it.
    trainer: LongTrainer,
    start: SystemTime,
}

impl Metrics {
    /// Begins to count what the engines of `trainer` do.
    pub(crate) fn of(trainer: LongTrainer) -> Arc<Self> {
        let mut registry = Registry::with_prefix(PREFIX);
        let http = HttpMetrics::register(&mut registry);
        let engine = EngineFigures::register(&mut registry);
        let observer: Arc<dyn EngineMetrics> = Arc::<EngineFigures>::clone(&engine);
        trainer.observe_engines(&observer);
        Arc::new(Self {
            registry,
            http,
            engine,
            trainer,
            start: SystemTime::now(),
        })
    }

    /// All figures as text. It reads the store, so it may block.
    pub(crate) fn render(&self) -> Result<String, std::fmt::Error> {
        let loaded = self.trainer.loaded_models();
        let text_models = loaded.iter().filter(|model| model.role == Role::Text);
        let names: HashSet<_> = text_models.map(|model| model.name.clone()).collect();
        self.engine.keep_only(&names);
        let mut page = String::new();
        text::encode_registry(&mut page, &self.registry)?;
        text::encode_registry(&mut page, &scraped::service(&self.trainer, &loaded))?;
        text::encode_registry(&mut page, &scraped::process(self.start))?;
        text::encode_eof(&mut page)?;
        Ok(page)
    }
}

#[cfg(test)]
mod tests;
