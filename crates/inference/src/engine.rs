//! The thread that owns a language model.
//!
//! Requests wait in a queue and are answered one after the other. A request ends early when its
//! stream is dropped (seen while it waits, between chunks of its prompt and between tokens), and a
//! panic inside a step ends only the request that caused it: all that a request changes is in its
//! own cache. When the engine is dropped, everything unfinished ends with
//! [`Error::EngineStopped`].

mod job;
mod meter;
#[allow(dead_code, reason = "the scheduler comes next")]
pub(crate) mod model;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use async_channel::{Receiver, Sender};

use crate::error::ComputeError;
use crate::prompt::PromptBuilder;
use crate::{Error, Result};

pub(crate) use job::Job;

/// Tokens of a prompt that are read between two looks at whether anybody still wants the answer.
/// With the default model on two cores that is a fifth of a second.
const PREFILL_CHUNK: usize = 512;

/// What an engine runs. A seam for tests, which use a fake that panics or waits.
pub(crate) trait LanguageModel: Send + 'static {
    /// What a request has read so far.
    type Cache;
    /// An empty cache for a request of at most `tokens` tokens, the answer's among them.
    fn new_cache(&self, tokens: usize) -> Self::Cache;
    /// Reads the middle of a prompt.
    fn read(&self, tokens: &[u32], cache: &mut Self::Cache) -> Result<(), ComputeError>;
    /// Reads tokens and returns the logits after the last.
    fn forward(&self, tokens: &[u32], cache: &mut Self::Cache) -> Result<Vec<f32>, ComputeError>;
}

/// Turns tokens into text and knows which of them end it.
pub(crate) trait TokenText: Send + Sync + 'static {
    /// Bytes that a token adds to the answer.
    fn token_bytes(&self, token: u32) -> &[u8];
    /// Whether the token ends the answer.
    fn is_end(&self, token: u32) -> bool;
}

impl TokenText for PromptBuilder {
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
    queue: Sender<Job>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts the thread. `threads` sets how many threads a step may use; without it, all.
    pub(crate) fn start<M: LanguageModel, T: TokenText>(
        name: &str,
        model: M,
        text: Arc<T>,
        threads: Option<usize>,
    ) -> Result<Self> {
        let failed = |reason: String| Error::Threads {
            model: name.to_owned(),
            reason,
        };
        let pool = threads.map(|count| rayon::ThreadPoolBuilder::new().num_threads(count).build());
        let pool = pool
            .transpose()
            .map_err(|error| failed(error.to_string()))?;
        let (queue, jobs) = async_channel::unbounded();
        let stopping = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            name: name.to_owned(),
            model,
            text,
            jobs,
            stopping: Arc::clone(&stopping),
        };
        let thread = thread::Builder::new()
            .name(format!("model {name}"))
            .spawn(move || match pool {
                Some(pool) => pool.install(|| worker.run()),
                None => worker.run(),
            })
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            name: name.to_owned(),
            queue,
            stopping,
            thread: Some(thread),
        })
    }

    /// Queues a job.
    pub(crate) fn submit(&self, job: Job) -> Result<()> {
        let sent = self.queue.try_send(job);
        sent.map_err(|_| Error::EngineStopped {
            model: self.name.clone(),
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.queue.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(model = self.name, "the engine's thread had panicked");
        }
    }
}

struct Worker<M, T> {
    name: String,
    model: M,
    text: Arc<T>,
    jobs: Receiver<Job>,
    stopping: Arc<AtomicBool>,
}

impl<M: LanguageModel, T: TokenText> Worker<M, T> {
    fn run(self) {
        while let Ok(job) = self.jobs.recv_blocking() {
            let events = job.events.clone();
            let outcome = catch_unwind(AssertUnwindSafe(|| self.answer(job)));
            let error = match outcome {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error,
                Err(panic) => Error::Panicked {
                    model: self.name.clone(),
                    message: panic_message(panic.as_ref()),
                },
            };
            // Nobody listens once the stream was dropped, so a request that ended with it is no news.
            if events.is_closed() && !matches!(error, Error::Panicked { .. }) {
                continue;
            }
            tracing::warn!(
                model = self.name,
                error = &error as &dyn std::error::Error,
                "request failed"
            );
            let _ = events.try_send(Err(error));
        }
    }

    fn stopped(&self) -> Error {
        Error::EngineStopped {
            model: self.name.clone(),
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let literal = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let formatted = || panic.downcast_ref::<String>().cloned();
    literal
        .or_else(formatted)
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests;
