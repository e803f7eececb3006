//! One request on its way through the engine.

use std::time::Instant;

use async_channel::Sender;

use super::meter::Meter;
use super::{LanguageModel, PREFILL_CHUNK, TokenText, Worker};
use crate::answer_text::{AnswerText, Piece};
use crate::error::ComputeError;
use crate::sampling::Sampler;
use crate::{Error, FinishReason, Generation, Result, Sampling, StreamItem};

/// A request whose numbers were checked and whose prompt fits.
#[derive(Debug)]
pub(crate) struct Job {
    /// Tokens of the prompt; at least one.
    pub(crate) prompt: Vec<u32>,
    /// How tokens are chosen.
    pub(crate) sampling: Sampling,
    /// Most tokens of the answer; at least one.
    pub(crate) max_tokens: usize,
    /// Stop strings; none is empty.
    pub(crate) stop: Vec<String>,
    /// Where the answer goes.
    pub(crate) events: Sender<Result<StreamItem>>,
    /// When the request came.
    pub(crate) submitted: Instant,
}

/// Why an answer cannot go on.
enum End {
    /// Nobody listens any more.
    Cancelled,
    /// To be reported.
    Failed(Error),
}

impl<M: LanguageModel, T: TokenText> Worker<M, T> {
    /// Answers one request, as far as somebody listens.
    pub(super) fn answer(&self, job: Job) -> Result<()> {
        match self.try_answer(job) {
            Ok(()) | Err(End::Cancelled) => Ok(()),
            Err(End::Failed(error)) => Err(error),
        }
    }

    fn try_answer(&self, job: Job) -> Result<(), End> {
        let most = job.prompt.len().saturating_add(job.max_tokens);
        let mut cache = self.model.new_cache(most);
        let mut logits = self.read_prompt(&job, &mut cache)?;
        let mut sampler = Sampler::new(job.sampling.clone());
        let mut text = AnswerText::new(job.stop.clone());
        let mut meter = Meter::new(job.submitted, job.prompt.len());
        let mut seen = job.prompt.clone();
        let finish_reason = loop {
            self.check_wanted(&job)?;
            self.check_numbers(&logits)?;
            let token = sampler.sample(&mut logits, &seen);
            meter.count_token();
            if self.text.is_end(token) {
                break FinishReason::Stop;
            }
            seen.push(token);
            if self.deliver(&job, text.push(self.text.token_bytes(token)))? {
                break FinishReason::Stop;
            }
            if seen.len() - job.prompt.len() == job.max_tokens {
                break FinishReason::Length;
            }
            logits = self.compute(self.model.forward(&[token], &mut cache))?;
        };
        self.deliver(&job, text.finish())?;
        let usage = meter.usage(seen.len() - job.prompt.len());
        let done = StreamItem::Done(Generation {
            finish_reason,
            usage,
        });
        send(&job, done)
    }

    fn read_prompt(&self, job: &Job, cache: &mut M::Cache) -> Result<Vec<f32>, End> {
        let mut rest = job.prompt.as_slice();
        while rest.len() > PREFILL_CHUNK {
            self.check_wanted(job)?;
            let (chunk, after) = rest.split_at(PREFILL_CHUNK);
            self.compute(self.model.read(chunk, cache))?;
            rest = after;
        }
        self.check_wanted(job)?;
        self.compute(self.model.forward(rest, cache))
    }

    fn check_wanted(&self, job: &Job) -> Result<(), End> {
        if self.is_stopping() {
            return Err(End::Failed(self.stopped()));
        }
        if job.events.is_closed() {
            return Err(End::Cancelled);
        }
        Ok(())
    }

    /// Weights were checked when they were loaded, but their products can still overflow.
    fn check_numbers(&self, logits: &[f32]) -> Result<(), End> {
        if logits.iter().all(|logit| logit.is_finite()) {
            return Ok(());
        }
        self.compute(Err("a logit is not a finite number".into()))
    }

    fn compute<V>(&self, result: Result<V, ComputeError>) -> Result<V, End> {
        result.map_err(|source| {
            End::Failed(Error::Compute {
                model: self.name.clone(),
                source,
            })
        })
    }

    /// Sends text that is ready; whether a stop string ended the answer.
    fn deliver(&self, job: &Job, piece: Piece) -> Result<bool, End> {
        if !piece.text.is_empty() {
            send(job, StreamItem::Text(piece.text))?;
        }
        Ok(piece.stopped)
    }
}

fn send(job: &Job, item: StreamItem) -> Result<(), End> {
    job.events.try_send(Ok(item)).map_err(|_| End::Cancelled)
}
