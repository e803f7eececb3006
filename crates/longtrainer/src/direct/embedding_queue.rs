//! Texts of several callers, embedded in one call.
//!
//! A model is quickest with many texts at once, and callers that each bring one would get in each
//! other's way. So whoever finds the model free takes along what others have queued meanwhile, and hands
//! them their vectors. Nobody waits for company: a caller alone is served at once.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longtrainer_inference::{Embedder, Error as InferenceError};

use crate::error::Result;

/// Tokens that are embedded in one call; more only if one caller brings them.
const MOST_TOKENS: usize = 16 << 10;

type Vectors = Result<Vec<Vec<f32>>>;

/// The queues of all models.
#[derive(Default)]
pub(crate) struct EmbeddingQueues(Mutex<HashMap<String, Arc<EmbeddingQueue>>>);

/// The texts that wait for one model.
#[derive(Default)]
pub(super) struct EmbeddingQueue {
    waiting: Mutex<Vec<Waiting>>,
    /// Held by whoever embeds.
    turn: Mutex<()>,
}

/// The texts of one caller.
struct Waiting {
    texts: Vec<Vec<u32>>,
    done: SyncSender<Vectors>,
}

impl Waiting {
    fn tokens(&self) -> usize {
        self.texts.iter().map(Vec::len).sum()
    }
}

impl EmbeddingQueues {
    pub(super) fn of(&self, model: &str) -> Arc<EmbeddingQueue> {
        Arc::clone(lock(&self.0).entry(model.to_owned()).or_default())
    }
}

impl EmbeddingQueue {
    /// The vectors of some tokens, in their order.
    pub(super) fn embed(&self, embedder: &dyn Embedder, texts: Vec<Vec<u32>>) -> Vectors {
        let done = self.enter(texts);
        loop {
            let _turn = lock(&self.turn);
            match done.try_recv() {
                Ok(vectors) => return vectors,
                Err(TryRecvError::Empty) => self.serve(embedder),
                // Whoever had taken the texts along did not come back.
                Err(TryRecvError::Disconnected) => {
                    return Err(InferenceError::EngineStopped {
                        model: embedder.info().model.clone(),
                    }
                    .into());
                }
            }
        }
    }

    fn enter(&self, texts: Vec<Vec<u32>>) -> Receiver<Vectors> {
        let (done, vectors) = sync_channel(1);
        lock(&self.waiting).push(Waiting { texts, done });
        vectors
    }

    /// Embeds what waits, the first in the queue first.
    fn serve(&self, embedder: &dyn Embedder) {
        let batch = self.next_batch();
        if let [alone] = batch.as_slice() {
            answer(embedder, alone);
            return;
        }
        let together = batch.iter().flat_map(|one| one.texts.clone()).collect();
        match embedder.embed_tokens(together) {
            Ok(vectors) => {
                let mut vectors = vectors.into_iter();
                for one in batch {
                    let own = vectors.by_ref().take(one.texts.len()).collect();
                    // A caller that has gone misses nothing.
                    let _ = one.done.send(Ok(own));
                }
            }
            // One caller's mistake must not be another's.
            Err(_) => batch.iter().for_each(|one| answer(embedder, one)),
        }
    }

    fn next_batch(&self) -> Vec<Waiting> {
        let mut waiting = lock(&self.waiting);
        let mut tokens = 0;
        let fitting = waiting.iter().take_while(|one| {
            tokens += one.tokens();
            tokens <= MOST_TOKENS
        });
        let taken = fitting.count().max(1).min(waiting.len());
        waiting.drain(..taken).collect()
    }
}

fn answer(embedder: &dyn Embedder, waiting: &Waiting) {
    let vectors = embedder.embed_tokens(waiting.texts.clone());
    let _ = waiting.done.send(vectors.map_err(Into::into));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
