//! The thread that looks at pictures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use async_channel::{Receiver, Sender, TrySendError};

use super::Question;
use super::eyes::Eyes;
use crate::engine::contained;
use crate::{Error, GgufTextModel, Result};

/// Questions that may wait for their pictures to be looked at. Each holds the bytes of its pictures.
const MOST_WAITING: usize = 64;

/// A thread that looks at the pictures of one question after the other, and hands them to the text model.
#[derive(Debug)]
pub(super) struct Looker {
    model: String,
    questions: Sender<Question>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Looker {
    pub(super) fn start(model: &str, eyes: Arc<Eyes>, text: Arc<GgufTextModel>) -> Result<Self> {
        let (questions, receiver) = async_channel::bounded(MOST_WAITING);
        let stopping = Arc::new(AtomicBool::new(false));
        let work = Work {
            model: model.to_owned(),
            eyes,
            text,
            stopping: Arc::clone(&stopping),
        };
        let thread = thread::Builder::new()
            .name(format!("{model}-pictures"))
            .spawn(move || work.run(&receiver))
            .map_err(|error| Error::Threads {
                model: model.to_owned(),
                reason: error.to_string(),
            })?;
        Ok(Self {
            model: model.to_owned(),
            questions,
            stopping,
            thread: Some(thread),
        })
    }

    /// Queues a question.
    pub(super) fn look(&self, question: Question) -> Result<()> {
        let model = self.model.clone();
        self.questions
            .try_send(question)
            .map_err(|error| match error {
                TrySendError::Full(_) => Error::QueueFull {
                    model,
                    waiting: MOST_WAITING,
                },
                TrySendError::Closed(_) => Error::EngineStopped { model },
            })
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.questions.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(
                model = self.model,
                "the thread for pictures ended in a panic"
            );
        }
    }
}

/// What the thread has.
struct Work {
    model: String,
    eyes: Arc<Eyes>,
    text: Arc<GgufTextModel>,
    stopping: Arc<AtomicBool>,
}

impl Work {
    fn run(&self, questions: &Receiver<Question>) {
        while let Ok(question) = questions.recv_blocking() {
            let events = question.events.clone();
            if let Err(error) = contained(&self.model, || self.answer(question)) {
                // Nobody to tell it to is no failure.
                let _ = events.try_send(Err(error));
            }
        }
    }

    fn answer(&self, question: Question) -> Result<()> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(Error::EngineStopped {
                model: self.model.clone(),
            });
        }
        match self.eyes.look(&question)? {
            Some(features) => question.ask(&self.text, &features),
            None => Ok(()),
        }
    }
}
