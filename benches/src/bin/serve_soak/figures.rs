//! What the server tells of itself while it is used: memory, keys and values, the store.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use longtrainer_benches::{Asked, HttpClient, MemoryLog};
use serde::Serialize;
use tokio::task::JoinHandle;

use crate::soak::Soak;

/// How often the server is asked.
const EVERY: Duration = Duration::from_secs(2);
/// How long what is in flight may take to end once nobody asks any more.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// What the server told at one moment.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Sample {
    /// Since the start.
    pub(crate) seconds: f64,
    /// Which of the servers.
    pub(crate) life: usize,
    /// Bytes in memory, keys and values included.
    pub(crate) resident: u64,
    /// Bytes of keys and values, which the engine keeps up to its budget.
    pub(crate) cache: u64,
    /// Bytes of the data file.
    pub(crate) store: u64,
}

impl Sample {
    /// Memory without keys and values.
    pub(crate) fn used(&self) -> u64 {
        self.resident.saturating_sub(self.cache)
    }
}

/// Takes samples.
pub(crate) struct Figures {
    samples: Arc<Mutex<Vec<Sample>>>,
    watching: JoinHandle<()>,
}

/// What is known once nobody asks any more.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) samples: Vec<Sample>,
    /// Why memory is not flat.
    pub(crate) growth: Option<String>,
}

impl Figures {
    /// Watches until the time is over.
    pub(crate) fn watch(soak: &Arc<Soak>) -> Self {
        let samples = Arc::<Mutex<Vec<_>>>::default();
        let watching = tokio::spawn(watch(Arc::clone(soak), Arc::clone(&samples)));
        Self { samples, watching }
    }

    /// Judges the memory of the last server, and that nothing stays in flight.
    pub(crate) async fn end(self, soak: &Soak) -> Left {
        self.watching.abort();
        let samples = self.samples.lock();
        let samples = samples.unwrap_or_else(PoisonError::into_inner).clone();
        let growth = growth(&samples);
        let complaints = [growth.clone(), in_flight(soak).await];
        for complaint in complaints.into_iter().flatten() {
            soak.tally.complain(complaint);
        }
        Left { samples, growth }
    }
}

async fn watch(soak: Arc<Soak>, samples: Arc<Mutex<Vec<Sample>>>) {
    let begun = Instant::now();
    while Instant::now() < soak.end {
        tokio::time::sleep(EVERY).await;
        let (address, life) = {
            let site = soak.site.read().await;
            (site.address.clone(), site.life)
        };
        // Whoever is being killed tells nothing, and visitors complain of the rest.
        if let Ok(page) = metrics(&soak, &address).await {
            let sample = Sample {
                seconds: begun.elapsed().as_secs_f64(),
                life,
                resident: sum(&page, "process_resident_memory_bytes"),
                cache: sum(&page, "longtrainer_engine_cache_bytes"),
                store: sum(&page, "longtrainer_store_file_bytes"),
            };
            samples
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(sample);
        }
    }
}

async fn metrics(soak: &Soak, address: &str) -> Result<String> {
    let mut client = HttpClient::new(address).with_key(soak.owner_key.clone());
    Ok(client.ask(&Asked::get("/metrics")).await?.text())
}

/// The sum of a figure over its labels.
pub(crate) fn sum(page: &str, name: &str) -> u64 {
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let is_it = rest.starts_with([' ', '{']);
        let value: f64 = rest.rsplit(' ').next()?.parse().ok()?;
        is_it.then_some(value as u64)
    });
    values.sum()
}

/// What the memory of the last server, less keys and values, grew by; nothing if it stopped growing.
pub(crate) fn growth(samples: &[Sample]) -> Option<String> {
    let last = samples.last()?.life;
    let mut log = MemoryLog::new(Instant::now() + EVERY);
    for sample in samples.iter().filter(|sample| sample.life == last) {
        log.note(Some(sample.used()));
    }
    log.complaint()
}

/// What is still being answered although nobody asks; the question itself is one.
async fn in_flight(soak: &Soak) -> Option<String> {
    let address = soak.site.read().await.address.clone();
    let begun = Instant::now();
    loop {
        let page = match metrics(soak, &address).await {
            Ok(page) => page,
            Err(error) => return Some(format!("GET /metrics: {error:#}")),
        };
        let requests = sum(&page, "longtrainer_http_requests_in_flight");
        let answers =
            sum(&page, "longtrainer_engine_running") + sum(&page, "longtrainer_engine_waiting");
        if requests <= 1 && answers == 0 {
            return None;
        }
        if begun.elapsed() > LAST_WORDS {
            return Some(format!(
                "{requests} requests and {answers} answers are in flight though nobody asks"
            ));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
