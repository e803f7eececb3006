//! The thread that owns a language model, and what it does from step to step.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use async_channel::Receiver;

use super::TokenText;
use super::cache_kind::CacheKind;
use super::contained::{self, Scored};
use super::job::Job;
use super::meter::Meter;
use super::metrics::{Outcome, StepFigures};
use super::model::{BLOCK_TOKENS, LanguageModel, TokenCache};
use super::options::EngineOptions;
use super::plan::share_out;
use super::prefix_tree::PrefixTree;
use super::sequence::{Counts, Sequence, State, blocks_of};
use super::step_cost::StepCost;
use crate::Error;

/// What the engine's handle and its thread both look at.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The engine is being dropped.
    pub(super) stopping: AtomicBool,
    /// Requests that were submitted and are not worked on yet.
    pub(super) waiting: AtomicUsize,
    /// Memory of keys and values.
    pub(super) cache_bytes: AtomicUsize,
}

type BlockOf<M> = <<M as LanguageModel>::Cache as TokenCache>::Block;

/// The thread's own.
pub(super) struct Scheduler<M: LanguageModel, T> {
    name: String,
    model: M,
    text: Arc<T>,
    options: EngineOptions,
    /// Blocks that there is memory for.
    budget: usize,
    jobs: Receiver<Job>,
    shared: Arc<Shared>,
    waiting: VecDeque<Job>,
    /// By the time of their coming.
    running: Vec<Sequence<M::Cache>>,
    tree: PrefixTree<BlockOf<M>, CacheKind>,
    cost: StepCost,
    /// Of the present step.
    figures: StepFigures,
}

impl<M: LanguageModel, T: TokenText> Scheduler<M, T> {
    pub(super) fn new(
        name: &str,
        model: M,
        text: Arc<T>,
        options: EngineOptions,
        budget: usize,
        jobs: Receiver<Job>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            model,
            text,
            options,
            budget,
            jobs,
            shared,
            waiting: VecDeque::new(),
            running: Vec::new(),
            tree: PrefixTree::new(),
            cost: StepCost::new(),
            figures: StepFigures::default(),
        }
    }

    /// Works until the engine is dropped.
    pub(super) fn run(mut self) {
        while self.take_in() {
            self.drop_abandoned();
            self.admit();
            self.step();
            let cache_bytes = self.model.cache_bytes();
            self.shared
                .cache_bytes
                .store(cache_bytes, Ordering::Relaxed);
        }
        self.stop();
    }

    /// Takes new requests in, and waits for one if there is nothing else to do; whether to go on.
    fn take_in(&mut self) -> bool {
        if self.waiting.is_empty() && self.running.is_empty() {
            match self.jobs.recv_blocking() {
                Ok(job) => self.waiting.push_back(job),
                Err(_) => return false,
            }
        }
        while let Ok(job) = self.jobs.try_recv() {
            self.waiting.push_back(job);
        }
        !self.shared.stopping.load(Ordering::Relaxed)
    }

    /// Forgets requests whose answer nobody wants, wherever they are.
    fn drop_abandoned(&mut self) {
        let before = self.waiting.len();
        let gone = self.waiting.iter().filter(|job| job.is_abandoned());
        gone.for_each(|job| self.report(&Meter::new(job.submitted, job.prompt.len()), 0));
        self.waiting.retain(|job| !job.is_abandoned());
        let gone = before - self.waiting.len();
        self.shared.waiting.fetch_sub(gone, Ordering::Relaxed);
        self.end_where(|sequence| sequence.is_abandoned().then_some(State::Abandoned));
    }

    fn report(&self, meter: &Meter, answered: usize) {
        if let Some(metrics) = &self.options.metrics {
            metrics.request(&self.name, &meter.figures(Outcome::Cancelled, answered));
        }
    }

    /// Starts requests in the order of their coming, as long as there is room for all that each may
    /// need: none that was started is ever put back.
    fn admit(&mut self) {
        let mut reserved: usize = self.running.iter().map(|running| running.reserved).sum();
        while self.running.len() < self.options.max_batch
            && let Some(job) = self.waiting.front()
            && reserved + blocks_of(job) <= self.budget
            && let Some(job) = self.waiting.pop_front()
        {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            reserved += blocks_of(&job);
            let tokens = job.most_tokens();
            let cache = self.model.new_cache(tokens);
            let kind = job.kind(self.model.cache_kind(tokens));
            let speculates = self.options.speculation;
            let sequence = Sequence::new(job, &*self.text, cache, kind, speculates);
            self.running.push(sequence);
        }
    }

    /// One pass of the model for all that run, and what follows from it.
    fn step(&mut self) {
        let started = Instant::now();
        self.figures = StepFigures::default();
        self.plan();
        self.make_room();
        let rows: usize = self.running.iter().map(Sequence::pending).sum();
        if rows == 0 {
            return;
        }
        let outcomes = self.compute();
        if self.figures.prompt_tokens == 0 {
            self.cost.record(rows, started.elapsed());
        }
        self.settle(outcomes);
        self.tell(started);
    }

    /// Decides what each request reads.
    fn plan(&mut self) {
        let decoding = self.running.iter().filter(|running| !running.is_reading());
        let decoding = decoding.count();
        let shares = self.shares(decoding);
        self.figures.prompt_tokens = shares.iter().sum();
        for (number, share) in shares.into_iter().enumerate() {
            if self.running[number].is_reading() {
                self.start_reading(number, share);
            }
        }
        self.plan_answers(decoding);
    }

    fn shares(&self, decoding: usize) -> Vec<usize> {
        let budget = match decoding {
            0 => 2 * self.options.chunk_tokens,
            _ => self.options.chunk_tokens,
        };
        let progress: Vec<_> = self
            .running
            .iter()
            .map(|running| running.progress(self.known(running)))
            .collect();
        share_out(&progress, budget)
    }

    /// Tokens of a prompt that the prefix cache has, for one that has not begun.
    fn known(&self, sequence: &Sequence<M::Cache>) -> usize {
        match sequence.cache.len() {
            0 if self.options.prefix_cache => {
                self.tree.matched(&sequence.kind, sequence.reusable())
            }
            _ => 0,
        }
    }

    fn start_reading(&mut self, number: usize, share: usize) {
        let sequence = &mut self.running[number];
        if share > 0 && sequence.cache.len() == 0 && self.options.prefix_cache {
            let known = self.tree.find(&sequence.kind, sequence.reusable());
            if known.len > 0 {
                match sequence.adopt(&self.name, known.blocks, known.len) {
                    Ok(()) => self.figures.cached_tokens += known.len,
                    // It is read instead.
                    Err(error) => {
                        let error = crate::with_causes(&error);
                        tracing::warn!(model = self.name, error, "a known prefix was not used");
                        sequence.cache.truncate(0);
                    }
                }
            }
        }
        sequence.read_prompt(share);
    }

    /// Answers guess only in steps that read no prompts: there a token more costs its full price.
    fn plan_answers(&mut self, decoding: usize) {
        let cost = (self.figures.prompt_tokens == 0).then_some(&self.cost);
        let mut rows = decoding;
        for sequence in self
            .running
            .iter_mut()
            .filter(|running| !running.is_reading())
        {
            sequence.read_answer(rows - 1, cost);
            rows += sequence.pending() - 1;
        }
    }

    /// Gives up kept prefixes until there is memory for what the step will store.
    fn make_room(&mut self) {
        let needed = self.running.iter().map(|sequence| {
            let (read, pending) = (sequence.cache.len(), sequence.pending());
            // A shared last block is copied before it is written to.
            let copied = usize::from(pending > 0 && read % BLOCK_TOKENS != 0);
            (read + pending).div_ceil(BLOCK_TOKENS) - read.div_ceil(BLOCK_TOKENS) + copied
        });
        let needed = needed.sum::<usize>() * self.model.block_bytes();
        let budget = self.budget.saturating_mul(self.model.block_bytes());
        while self.model.cache_bytes() + needed > budget && self.tree.evict_one() {}
    }

    /// The outcome of each running request; none for those that read nothing.
    fn compute(&mut self) -> Vec<Option<Scored>> {
        let is_in: Vec<bool> = self
            .running
            .iter()
            .map(|running| running.pending() > 0)
            .collect();
        self.figures.decoding = self
            .running
            .iter()
            .filter(|running| running.is_choosing())
            .count();
        let parts = self.running.iter_mut().filter_map(Sequence::part).collect();
        let mut outcomes = contained::step(&self.name, &self.model, parts).into_iter();
        let dealt = is_in
            .into_iter()
            .map(|is_in| is_in.then(|| outcomes.next())?);
        dealt.collect()
    }

    /// Gives each request what the step brought it, and ends those that are done.
    fn settle(&mut self, outcomes: Vec<Option<Scored>>) {
        let mut counts = Counts::default();
        let mut states = Vec::with_capacity(outcomes.len());
        for (sequence, outcome) in self.running.iter_mut().zip(outcomes) {
            states.push(match outcome {
                Some(scores) => sequence.settle(&self.name, &*self.text, scores, &mut counts),
                None => State::Running,
            });
        }
        self.figures.chosen_tokens = counts.chosen;
        self.figures.drafted_tokens = counts.drafted;
        self.figures.accepted_tokens = counts.accepted;
        self.keep_read_blocks(&states);
        let mut states = states.into_iter();
        self.end_where(|_| {
            states
                .next()
                .filter(|state| !matches!(state, State::Running))
        });
    }

    /// Tells the prefix cache of blocks that prompts have filled, so that others can use them at once.
    fn keep_read_blocks(&mut self, states: &[State]) {
        if !self.options.prefix_cache {
            return;
        }
        for (sequence, state) in self.running.iter_mut().zip(states) {
            let whole = sequence.whole_blocks();
            if matches!(state, State::Running) && whole > sequence.told {
                sequence.told = whole;
                let tokens = &sequence.read_text()[..whole * BLOCK_TOKENS];
                keep(&mut self.tree, &self.name, sequence, tokens.len());
            }
        }
    }

    /// Ends the requests that `end` gives a state for.
    fn end_where(&mut self, mut end: impl FnMut(&Sequence<M::Cache>) -> Option<State>) {
        let running = std::mem::take(&mut self.running);
        for sequence in running {
            match end(&sequence) {
                None => self.running.push(sequence),
                Some(state) => self.end(sequence, state),
            }
        }
    }

    fn end(&mut self, mut sequence: Sequence<M::Cache>, state: State) {
        let outcome = match state {
            State::Finished(reason) => {
                sequence.finish(reason);
                Outcome::Complete
            }
            State::Failed(error) => {
                self.log_failure(&sequence, &error);
                sequence.fail(error);
                Outcome::Failed
            }
            State::Abandoned | State::Running => Outcome::Cancelled,
        };
        if let Some(metrics) = &self.options.metrics {
            metrics.request(&self.name, &sequence.figures(outcome));
        }
        if outcome != Outcome::Failed && self.options.prefix_cache {
            let read = sequence.read_text().len();
            keep(&mut self.tree, &self.name, &sequence, read);
        }
    }

    /// Nobody listens once the stream was dropped, so a request that failed after it is no news.
    fn log_failure(&self, sequence: &Sequence<M::Cache>, error: &Error) {
        if sequence.is_abandoned() && !matches!(error, Error::Panicked { .. }) {
            return;
        }
        let error = crate::with_causes(error);
        tracing::warn!(parent: sequence.span(), model = self.name, error, "request failed");
    }

    fn tell(&mut self, started: Instant) {
        if let Some(metrics) = &self.options.metrics {
            self.figures.waiting = self.shared.waiting.load(Ordering::Relaxed);
            self.figures.running = self.running.len();
            self.figures.duration = started.elapsed();
            self.figures.cache_bytes = self.model.cache_bytes();
            self.figures.kept_tokens = self.tree.len_tokens();
            metrics.step(&self.name, &self.figures);
        }
    }

    /// Ends everything that is unfinished.
    fn stop(&mut self) {
        let stopped = || Error::EngineStopped {
            model: self.name.clone(),
        };
        self.running
            .iter()
            .for_each(|running| running.fail(stopped()));
        let mut waiting = std::mem::take(&mut self.waiting);
        while let Ok(job) = self.jobs.try_recv() {
            waiting.push_back(job);
        }
        for job in waiting {
            let _ = job.events.try_send(Err(stopped()));
        }
    }
}

/// Keeps the keys and values of the first `tokens` tokens that a request has read.
fn keep<C: TokenCache>(
    tree: &mut PrefixTree<C::Block, CacheKind>,
    name: &str,
    sequence: &Sequence<C>,
    tokens: usize,
) {
    let tokens = &sequence.read_text()[..tokens];
    let kept = tree.insert(&sequence.kind, tokens, |index| sequence.cache.block(index));
    if let Err(error) = kept {
        tracing::warn!(model = name, error, "a prefix was not kept");
    }
}
