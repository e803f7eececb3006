//! The engine of a language model: many requests at once, and nothing computed twice.
//!
//! A thread owns the model. Each of its steps is one pass of the model over a few tokens of many
//! requests ([`scheduler`]): one token of every answer that is running, or several where they could be
//! guessed ([`drafts`]), and a chunk of the prompts that are being read ([`plan`]). Requests join
//! and leave between steps. Keys and values lie in blocks that requests share: what one has read, a
//! later one with the same beginning takes over ([`prefix_tree`]), for as long as there is memory.
//!
//! A request ends early when its stream is dropped, wherever it is. A step that fails or panics ends
//! only the requests that fail alone too ([`mod@contained`]). When the engine is dropped, everything
//! unfinished ends with [`Error::EngineStopped`].

mod cache_kind;
mod contained;
mod drafts;
mod job;
mod meter;
mod metrics;
mod model;
mod options;
mod plan;
mod prefix_tree;
mod scheduler;
mod scores;
mod sequence;
mod step_cost;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use async_channel::Sender;

use crate::prompt::PromptBuilder;
use crate::{Error, Result};

use meter::Meter;
use scheduler::{Scheduler, Shared};
use sequence::blocks_for;

pub(crate) use contained::contained;
pub(crate) use job::Job;
pub use metrics::{EngineMetrics, Outcome, RequestFigures, StepFigures};
pub(crate) use model::{BLOCK_TOKENS, LanguageModel, Part, TokenCache};
pub use options::EngineOptions;
pub(crate) use scores::{Needed, Scores, deal};

/// Whole contexts that there is memory for unless something else is asked for.
const DEFAULT_CONTEXTS: usize = 8;
/// The most memory for keys and values, in bytes, unless one context needs more.
const DEFAULT_CACHE_BYTES: usize = 4 << 30;

/// Turns tokens into text and knows which of them end it.
pub(crate) trait TokenText: Send + Sync + 'static {
    /// How many tokens there are.
    fn vocabulary(&self) -> usize;
    /// Bytes that a token adds to the answer.
    fn token_bytes(&self, token: u32) -> &[u8];
    /// Whether the token ends the answer.
    fn is_end(&self, token: u32) -> bool;
}

impl TokenText for PromptBuilder {
    fn vocabulary(&self) -> usize {
        self.tokenizer().len()
    }

    fn token_bytes(&self, token: u32) -> &[u8] {
        self.tokenizer().token_bytes(token)
    }

    fn is_end(&self, token: u32) -> bool {
        self.tokenizer().is_end(token)
    }
}

/// The handle of an engine; dropping it stops the thread and waits for it.
#[derive(Debug)]
pub(crate) struct Engine {
    name: String,
    options: EngineOptions,
    queue: Sender<Job>,
    shared: Arc<Shared>,
    weight_bytes: usize,
    block_bytes: usize,
    /// Blocks that there is memory for.
    budget: usize,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts the thread of a model whose prompts and answers have at most `context_length` tokens.
    /// `threads` sets how many threads of `rayon` a step may use; without it, all.
    pub(crate) fn start<M: LanguageModel, T: TokenText>(
        name: &str,
        model: M,
        text: Arc<T>,
        threads: Option<usize>,
        context_length: usize,
        options: &EngineOptions,
    ) -> Result<Self> {
        options.check()?;
        let failed = |reason: String| Error::Threads {
            model: name.to_owned(),
            reason,
        };
        let pool = threads.map(|count| rayon::ThreadPoolBuilder::new().num_threads(count).build());
        let pool = pool
            .transpose()
            .map_err(|error| failed(error.to_string()))?;
        let (queue, jobs) = async_channel::unbounded();
        let shared = Arc::new(Shared::default());
        let (weight_bytes, block_bytes) = (model.weight_bytes(), model.block_bytes().max(1));
        let budget = cache_bytes(options, block_bytes, context_length) / block_bytes;
        let scheduler = Scheduler::new(
            name,
            model,
            text,
            options.clone(),
            budget,
            jobs,
            Arc::clone(&shared),
        );
        let thread = thread::Builder::new()
            .name(format!("model {name}"))
            .spawn(move || match pool {
                Some(pool) => pool.install(|| scheduler.run()),
                None => scheduler.run(),
            })
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            name: name.to_owned(),
            options: options.clone(),
            queue,
            shared,
            weight_bytes,
            block_bytes,
            budget,
            thread: Some(thread),
        })
    }

    /// Queues a job.
    ///
    /// # Errors
    ///
    /// [`Error::QueueFull`], [`Error::CacheTooSmall`] for a job that could never begin,
    /// [`Error::EngineStopped`].
    pub(crate) fn submit(&self, job: Job) -> Result<()> {
        self.check_memory(&job)?;
        self.take_place(&job)?;
        let sent = self.queue.try_send(job);
        sent.map_err(|_| Error::EngineStopped {
            model: self.name.clone(),
        })
    }

    /// Memory of the weights and of keys and values, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.weight_bytes + self.shared.cache_bytes.load(Ordering::Relaxed)
    }

    fn check_memory(&self, job: &Job) -> Result<()> {
        let tokens = job.most_tokens();
        let blocks = blocks_for(tokens);
        if blocks > self.budget {
            return Err(Error::CacheTooSmall {
                model: self.name.clone(),
                tokens,
                needed: blocks.saturating_mul(self.block_bytes),
                budget: self.budget.saturating_mul(self.block_bytes),
            });
        }
        Ok(())
    }

    /// Counts a job as waiting, unless too many do.
    fn take_place(&self, job: &Job) -> Result<()> {
        let waiting = self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        if waiting < self.options.queue_limit {
            return Ok(());
        }
        self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
        if let Some(metrics) = &self.options.metrics {
            let meter = Meter::new(job.submitted, job.prompt.len());
            metrics.request(&self.name, &meter.figures(Outcome::Refused, 0));
        }
        Err(Error::QueueFull {
            model: self.name.clone(),
            waiting,
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.queue.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(model = self.name, "the engine's thread had panicked");
        }
    }
}

/// Memory for keys and values: what was asked for, else room for some whole contexts.
fn cache_bytes(options: &EngineOptions, block_bytes: usize, context_length: usize) -> usize {
    options.cache_bytes.unwrap_or_else(|| {
        let context = blocks_for(context_length).saturating_mul(block_bytes);
        let contexts = context.saturating_mul(DEFAULT_CONTEXTS);
        contexts.min(DEFAULT_CACHE_BYTES).max(context)
    })
}

#[cfg(test)]
mod tests;
