//! A request that is being worked on: what it has read, what it has answered, what it reads next.

use std::cmp::min;

use super::TokenText;
use super::cache_kind::CacheKind;
use super::contained::{Scored, contained};
use super::drafts::{Drafter, Trust};
use super::job::Job;
use super::meter::Meter;
use super::metrics::{Outcome, RequestFigures};
use super::model::{BLOCK_TOKENS, Part, TokenCache};
use super::plan::Progress;
use super::scores::{Needed, Row, Scores};
use super::step_cost::{StepCost, best_draft_length};
use crate::answer_text::{AnswerText, Piece};
use crate::error::compute_failed;
use crate::sampling::{Choice, Sampler, Text, TokenMask};
use crate::{Error, FinishReason, Generation, Result, StreamItem, TokenChoice, TokenLogprob};

/// Most tokens that are guessed at once.
const MOST_DRAFTED: usize = 16;

/// What became of a request in a step.
#[derive(Debug)]
pub(super) enum State {
    /// It goes on.
    Running,
    /// Its answer is whole, or has the length asked for.
    Finished(FinishReason),
    /// Nobody wants the answer any more.
    Abandoned,
    /// It cannot go on.
    Failed(Error),
}

/// A running request.
pub(super) struct Sequence<C> {
    job: Job,
    /// Prompt and answer. All but the last token of an answer are in the cache.
    text: Vec<u32>,
    pub(super) cache: C,
    /// Which caches it may share blocks with.
    pub(super) kind: CacheKind,
    /// Blocks that it may need in all.
    pub(super) reserved: usize,
    /// Blocks of its prompt that the prefix cache has been told.
    pub(super) told: usize,
    sampler: Sampler,
    answer: AnswerText,
    /// Text of the present step: its tokens come together, and so does what they say.
    ready: String,
    speculation: Option<Speculation>,
    meter: Meter,
    /// What it reads in the present step.
    pending: Vec<u32>,
    /// The last of those, guessed.
    drafted: usize,
}

/// Guesses of what comes next.
#[derive(Debug)]
struct Speculation {
    drafter: Drafter,
    trust: Trust,
    /// How many tokens the present guess matches; none if it is not the drafter's.
    matched: Option<usize>,
}

impl Speculation {
    fn new() -> Self {
        Self {
            drafter: Drafter::new(),
            trust: Trust::new(),
            matched: None,
        }
    }

    /// A guess of at most `most` tokens, as long as it pays in a step that has `rows` rows without.
    fn draft(&mut self, rows: usize, most: usize, cost: &StepCost) -> Vec<u32> {
        self.matched = None;
        let draft = self.drafter.draft(most);
        let acceptance = self.trust.of(draft.matched);
        if draft.tokens.is_empty() || !acceptance.should_try() {
            return Vec::new();
        }
        let length = best_draft_length(acceptance.probability(), rows, draft.tokens.len(), cost);
        self.matched = Some(draft.matched);
        draft.tokens[..length].to_vec()
    }

    /// Learns how much of a guess was right.
    fn record(&mut self, drafted: usize, accepted: usize) {
        if let Some(matched) = self.matched.take() {
            self.trust.of(matched).record(drafted, accepted);
        }
    }
}

/// Numbers of a step, of one request or of all.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) chosen: usize,
    pub(super) drafted: usize,
    pub(super) accepted: usize,
}

impl<C: TokenCache> Sequence<C> {
    pub(super) fn new<T: TokenText>(
        job: Job,
        text: &T,
        cache: C,
        kind: CacheKind,
        speculates: bool,
    ) -> Self {
        let mut meter = Meter::new(job.submitted, job.prompt.len());
        meter.start();
        Self {
            text: job.prompt.clone(),
            cache,
            kind,
            reserved: blocks_of(&job),
            told: 0,
            sampler: Sampler::new(&job.sampling, text.vocabulary(), |token| {
                text.token_bytes(token)
            }),
            answer: AnswerText::new(job.stop.clone()),
            ready: String::new(),
            speculation: speculates.then(Speculation::new),
            meter,
            pending: Vec::new(),
            drafted: 0,
            job,
        }
    }

    /// What the plan of a step needs to know; `known` is what the prefix cache has of the prompt.
    pub(super) fn progress(&self, known: usize) -> Progress<'_> {
        Progress {
            kind: &self.kind,
            prompt: &self.job.prompt,
            read: self.cache.len(),
            known,
        }
    }

    /// The part of the prompt that may come from the prefix cache: the last token is always read,
    /// because the first token of the answer is chosen from what it gives.
    pub(super) fn reusable(&self) -> &[u32] {
        &self.job.prompt[..self.job.prompt.len() - 1]
    }

    /// Whether the prompt has not been read to its end.
    pub(super) fn is_reading(&self) -> bool {
        self.cache.len() < self.job.prompt.len()
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.job.is_abandoned()
    }

    /// What the log is told about its request.
    pub(super) fn span(&self) -> &tracing::Span {
        &self.job.span
    }

    /// Takes over the keys and values of the first `len` tokens of its prompt.
    pub(super) fn adopt(&mut self, name: &str, blocks: Vec<C::Block>, len: usize) -> Result<()> {
        let adopted = self.cache.adopt(blocks, len);
        adopted.map_err(|source| compute_failed(name, source))?;
        self.meter.count_cached(len);
        Ok(())
    }

    /// Puts the next `count` tokens of the prompt into the step.
    pub(super) fn read_prompt(&mut self, count: usize) {
        let from = self.cache.len();
        self.pending.clear();
        self.pending.extend(&self.text[from..from + count]);
        self.drafted = 0;
    }

    /// Puts the last token of the answer into the step, and guesses at the next ones, where `rows` rows
    /// are in the step already.
    pub(super) fn read_answer(&mut self, rows: usize, cost: Option<&StepCost>) {
        self.pending.clear();
        self.pending.extend(self.text.last());
        let room = self.job.max_tokens.saturating_sub(self.answered() + 1);
        let draft = self.draft(rows, min(room, MOST_DRAFTED), cost);
        self.drafted = draft.len();
        self.pending.extend(draft);
    }

    /// Tokens that a grammar leaves no choice about come first: they are never wrong.
    fn draft(&mut self, rows: usize, most: usize, cost: Option<&StepCost>) -> Vec<u32> {
        if let Some(guide) = &mut self.job.guide {
            let mut forced = guide.forced();
            forced.truncate(most);
            if !forced.is_empty() {
                return forced;
            }
        }
        match (&mut self.speculation, cost) {
            (Some(speculation), Some(cost)) => speculation.draft(rows + 1, most, cost),
            _ => Vec::new(),
        }
    }

    /// Tokens that the step reads, and where to.
    pub(super) fn part(&mut self) -> Option<Part<'_, C>> {
        if self.pending.is_empty() {
            return None;
        }
        let ends_prompt = self.cache.len() + self.pending.len() >= self.job.prompt.len();
        Some(Part {
            logits: if ends_prompt { self.drafted + 1 } else { 0 },
            needed: self.needed(),
            tokens: &self.pending,
            soft: &self.job.soft,
            adapter: self.job.adapter.as_ref(),
            cache: &mut self.cache,
        })
    }

    /// How much must be known of each token's logits: a grammar may forbid whichever are the greatest, and log
    /// probabilities are shares of the sum of all.
    fn needed(&self) -> Needed {
        if self.job.guide.is_some() || self.job.top_logprobs.is_some() {
            return Needed::Logits;
        }
        self.sampler.enough(self.text(), self.drafted).into()
    }

    /// The text so far.
    fn text(&self) -> Text<'_> {
        Text {
            tokens: &self.text,
            prompt: self.job.prompt.len(),
        }
    }

    /// Tokens of its step that are in no cache yet.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether its step chooses tokens.
    pub(super) fn is_choosing(&self) -> bool {
        !self.pending.is_empty() && self.cache.len() + self.pending.len() >= self.job.prompt.len()
    }

    /// Takes what the step gave: chooses tokens for as long as the guesses are right, and delivers
    /// them.
    pub(super) fn settle<T: TokenText>(
        &mut self,
        name: &str,
        text: &T,
        scores: Scored,
        counts: &mut Counts,
    ) -> State {
        let outcome = scores
            .and_then(|scores| contained(name, || self.choose_all(name, text, scores, counts)));
        self.pending.clear();
        outcome.unwrap_or_else(State::Failed)
    }

    fn choose_all<T: TokenText>(
        &mut self,
        name: &str,
        text: &T,
        mut scores: Scores,
        counts: &mut Counts,
    ) -> Result<State> {
        if scores.is_empty() {
            return Ok(State::Running);
        }
        check_numbers(name, &scores)?;
        self.start_speculation();
        let rows = scores.rows(self.drafted + 1);
        let drafts = self.pending.split_off(self.pending.len() - self.drafted);
        let read = self.cache.len() - drafts.len();
        let (mut state, mut accepted) = (State::Running, 0);
        for (row, draft) in rows.into_iter().zip(expected(&drafts)) {
            let chosen = self.choose(row)?;
            counts.chosen += 1;
            state = self.take(text, &chosen)?;
            if !matches!(state, State::Running) || draft != Some(chosen.token) {
                break;
            }
            accepted += 1;
        }
        self.cache.truncate(read + accepted);
        self.count_drafts(drafts.len(), accepted, counts);
        match self.deliver() {
            true => Ok(state),
            false => Ok(State::Abandoned),
        }
    }

    /// The drafter learns the prompt when the answer begins: reading it is not held up.
    fn start_speculation(&mut self) {
        if let Some(speculation) = &mut self.speculation
            && self.text.len() == self.job.prompt.len()
        {
            speculation.drafter.extend(&self.text);
        }
    }

    fn choose(&mut self, row: Row<'_>) -> Result<Choice> {
        match row {
            Row::Logits(logits) => self.choose_of_all(logits),
            Row::Greatest(likeliest) => {
                let text = Text {
                    tokens: &self.text,
                    prompt: self.job.prompt.len(),
                };
                Ok(self.sampler.choose_among(likeliest, text))
            }
        }
    }

    fn choose_of_all(&mut self, logits: &mut [f32]) -> Result<Choice> {
        let left = self.job.max_tokens.saturating_sub(self.answered() + 1);
        let text = Text {
            tokens: &self.text,
            prompt: self.job.prompt.len(),
        };
        let (sampler, top) = (&mut self.sampler, self.job.top_logprobs);
        let Some(guide) = &mut self.job.guide else {
            return Ok(sampler.choose(logits, text, None, top));
        };
        let raw = guide.must_come_to_an_end().then(|| logits.to_vec());
        let chosen = sampler.choose(logits, text, Some(guide.mask()?), top);
        let instead = guide.instead_of(chosen.token, left);
        match (raw, instead.and_then(TokenMask::only)) {
            (Some(mut raw), Some(only)) => Ok(sampler.choose(&mut raw, text, Some(&only), top)),
            _ => Ok(chosen),
        }
    }

    /// Adds a token to the answer, unless it ends it.
    fn take<T: TokenText>(&mut self, text: &T, chosen: &Choice) -> Result<State> {
        let token = chosen.token;
        self.meter.count_token();
        if text.is_end(token) || self.job.stop_tokens.contains(&token) {
            return Ok(State::Finished(FinishReason::Stop));
        }
        if let Some(guide) = &mut self.job.guide {
            guide.accept(token)?;
        }
        self.text.push(token);
        if let Some(speculation) = &mut self.speculation {
            speculation.drafter.extend(&[token]);
        }
        if !self.report(text, chosen) {
            return Ok(State::Abandoned);
        }
        let piece = self.answer.push(text.token_bytes(token));
        self.ready.push_str(&piece.text);
        Ok(self.state_after(&piece))
    }

    fn state_after(&self, piece: &Piece) -> State {
        let is_complete = self
            .job
            .guide
            .as_ref()
            .is_some_and(|guide| guide.is_finished());
        if piece.stopped || is_complete {
            return State::Finished(FinishReason::Stop);
        }
        if self.answered() == self.job.max_tokens {
            return State::Finished(FinishReason::Length);
        }
        State::Running
    }

    /// Sends the text that is ready; whether anybody listens.
    fn deliver(&mut self) -> bool {
        let text = std::mem::take(&mut self.ready);
        text.is_empty() || self.send(StreamItem::Text(text))
    }

    /// Tells how likely a token was, if that was asked for, behind the text of those before it; whether
    /// anybody listens.
    fn report<T: TokenText>(&mut self, text: &T, chosen: &Choice) -> bool {
        let Some(logprob) = chosen.logprob else {
            return true;
        };
        if !self.deliver() {
            return false;
        }
        let told = |(token, logprob): (u32, f32)| TokenLogprob {
            token,
            bytes: text.token_bytes(token).to_vec(),
            logprob,
        };
        self.send(StreamItem::Token(TokenChoice {
            chosen: told((chosen.token, logprob)),
            top: chosen.top.iter().copied().map(told).collect(),
        }))
    }

    fn count_drafts(&mut self, drafted: usize, accepted: usize, counts: &mut Counts) {
        counts.drafted += drafted;
        counts.accepted += accepted;
        self.meter.count_drafts(drafted, accepted);
        if let Some(speculation) = &mut self.speculation {
            speculation.record(drafted, accepted);
        }
    }

    /// Ends the answer: text that was held back, then the sum.
    pub(super) fn finish(&mut self, finish_reason: FinishReason) {
        let piece = self.answer.finish();
        self.ready.push_str(&piece.text);
        if self.deliver() {
            let usage = self.meter.usage(self.answered());
            self.send(StreamItem::Done(Generation {
                finish_reason,
                usage,
            }));
        }
    }

    /// Ends the answer with an error.
    pub(super) fn fail(&self, error: Error) {
        let _ = self.job.events.try_send(Err(error));
    }

    /// The figures of the request.
    pub(super) fn figures(&self, outcome: Outcome) -> RequestFigures {
        self.meter.figures(outcome, self.answered())
    }

    /// The tokens that are in the cache.
    pub(super) fn read_text(&self) -> &[u32] {
        &self.text[..min(self.cache.len(), self.text.len())]
    }

    /// Whole blocks of the prompt that were read.
    pub(super) fn whole_blocks(&self) -> usize {
        min(self.cache.len(), self.job.prompt.len()) / BLOCK_TOKENS
    }

    fn answered(&self) -> usize {
        self.text.len() - self.job.prompt.len()
    }

    /// Whether anybody listens.
    fn send(&self, item: StreamItem) -> bool {
        self.job.events.try_send(Ok(item)).is_ok()
    }
}

/// Blocks that a request may need, one of them to copy a shared one into.
pub(super) fn blocks_of(job: &Job) -> usize {
    blocks_for(job.most_tokens())
}

/// Blocks that a request of so many tokens may need.
pub(super) fn blocks_for(tokens: usize) -> usize {
    tokens.div_ceil(BLOCK_TOKENS).saturating_add(1)
}

/// The drafts that the rows of a step are to confirm; the last row has none.
fn expected(drafts: &[u32]) -> impl Iterator<Item = Option<u32>> {
    drafts.iter().copied().map(Some).chain([None])
}

/// Weights were checked when they were loaded, but their products can still overflow.
fn check_numbers(name: &str, scores: &Scores) -> Result<()> {
    match scores {
        Scores::Logits(logits) if !logits.iter().all(|logit| logit.is_finite()) => Err(
            compute_failed(name, "a logit is not a finite number".into()),
        ),
        _ => Ok(()),
    }
}
