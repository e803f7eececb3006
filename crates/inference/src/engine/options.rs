//! How an engine shares itself out.

use std::fmt;
use std::sync::Arc;

use crate::{EngineMetrics, Error, Result};

/// How an engine shares a model out among requests. The default suits a few dozen chats.
#[derive(Clone)]
pub struct EngineOptions {
    /// Requests that are worked on at once; more wait.
    pub max_batch: usize,
    /// Requests that may wait; more are refused with [`Error::QueueFull`].
    pub queue_limit: usize,
    /// Tokens of prompts that are read in one step: how long a running answer can stall. Twice as
    /// many are read while no answer is running.
    pub chunk_tokens: usize,
    /// Memory for the keys and values of running requests and of prefixes that are kept for later
    /// ones, in bytes. `None` takes room for eight whole contexts, or 4 GiB if that is less, or one
    /// whole context if that is more.
    pub cache_bytes: Option<usize>,
    /// Whether prefixes are kept after their request has ended, and shared.
    pub prefix_cache: bool,
    /// Whether tokens are guessed from the text so far and checked several at a time, where that has
    /// been seen to pay. The answer is the same.
    pub speculation: bool,
    /// Who is told what the engine does.
    pub metrics: Option<Arc<dyn EngineMetrics>>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            max_batch: 32,
            queue_limit: 1024,
            chunk_tokens: 256,
            cache_bytes: None,
            prefix_cache: true,
            speculation: true,
            metrics: None,
        }
    }
}

impl fmt::Debug for EngineOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EngineOptions")
            .field("max_batch", &self.max_batch)
            .field("queue_limit", &self.queue_limit)
            .field("chunk_tokens", &self.chunk_tokens)
            .field("cache_bytes", &self.cache_bytes)
            .field("prefix_cache", &self.prefix_cache)
            .field("speculation", &self.speculation)
            .field("metrics", &self.metrics.is_some())
            .finish()
    }
}

impl EngineOptions {
    /// An error naming the first number that makes no sense.
    pub(crate) fn check(&self) -> Result<()> {
        for (field, value) in [
            ("max_batch", self.max_batch),
            ("queue_limit", self.queue_limit),
            ("chunk_tokens", self.chunk_tokens),
            ("cache_bytes", self.cache_bytes.unwrap_or(1)),
        ] {
            if value == 0 {
                return Err(Error::InvalidRequest {
                    field,
                    value: "0".to_owned(),
                    expected: "1 or more",
                });
            }
        }
        Ok(())
    }
}
