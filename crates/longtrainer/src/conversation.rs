//! The messages that a model gets: system prompt, as much history as fits, question with passages.

use longtrainer_inference::{Message, Role, TextModel};
use longtrainer_store::{TurnRecord, TurnStatus, UploadedFile};

use crate::error::{Error, Result};
use crate::history::{Lengths, Room};

/// What part of a chat's history a prompt holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct HistoryUse {
    /// Turns in the prompt: the newest ones.
    pub included: usize,
    /// Older turns left out because they did not fit the token budget.
    pub left_out: usize,
}

/// Tokens at a prompt's disposal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// Tokens that the prompt may have.
    pub(crate) prompt: usize,
    /// Tokens kept for the answer.
    pub(crate) answer: usize,
    /// Tokens that the model can hold.
    pub(crate) context: usize,
}

impl Budget {
    /// The model's context less the answer's share, and never more than `max_token_limit`.
    pub(crate) fn new(model: &dyn TextModel, max_token_limit: usize, answer: usize) -> Self {
        let context = model.info().context_length;
        Self {
            prompt: context.saturating_sub(answer).min(max_token_limit),
            answer,
            context,
        }
    }
}

/// The parts of a prompt, before history is trimmed.
pub(crate) struct Conversation {
    /// The instructions, in the template's words.
    pub(crate) system: String,
    /// Turns worth remembering, oldest first.
    pub(crate) history: Vec<TurnRecord>,
    /// The question with what goes along with it.
    pub(crate) question: String,
}

impl Conversation {
    /// The messages within `budget`. History is left out by whole turns, oldest first, in steps (see
    /// [`crate::history`]); the answer reports how many. A prompt that does not fit without any
    /// history is an error.
    pub(crate) fn fit(
        &self,
        model: &dyn TextModel,
        budget: Budget,
    ) -> Result<(Vec<Message>, HistoryUse)> {
        let needed = self.tokens(model, &[])?;
        if needed > budget.prompt {
            return Err(Error::PromptTooLong {
                needed,
                budget: budget.prompt,
                context_length: budget.context,
                max_tokens: budget.answer,
            });
        }
        let included = self.turns_that_fit(model, budget.prompt, needed)?;
        let left_out = self.history.len() - included;
        Ok((
            self.messages(&self.history[left_out..]),
            HistoryUse { included, left_out },
        ))
    }

    /// How many of the newest turns fit into `budget`, of which `needed` tokens are taken. Counting
    /// tokens takes as long as reading the text again, so a few turns are counted, the rest is
    /// reckoned from their lengths, and what comes of it is counted once to be sure.
    fn turns_that_fit(&self, model: &dyn TextModel, budget: usize, needed: usize) -> Result<usize> {
        if self.history.is_empty() {
            return Ok(0);
        }
        let lengths = Lengths::new(self.history.iter().map(length));
        let (turns, bytes) = lengths.sample();
        let counted = self.tokens(model, &self.history[..turns])?;
        if turns == self.history.len() && counted <= budget {
            return Ok(turns);
        }
        let room = Room::new(budget, needed);
        let mut tokens_a_byte = counted.saturating_sub(needed).max(1) as f64 / bytes as f64;
        loop {
            let remembered = lengths.remembered(tokens_a_byte, room);
            let newest = &self.history[self.history.len() - remembered..];
            if remembered == 0 || self.tokens(model, newest)? <= budget {
                return Ok(remembered);
            }
            // These turns make more of their bytes than the oldest ones: another script, say.
            tokens_a_byte *= 1.25;
        }
    }

    fn tokens(&self, model: &dyn TextModel, turns: &[TurnRecord]) -> Result<usize> {
        Ok(model.count_tokens(&self.messages(turns))?)
    }

    /// The messages with these turns of history. What stays the same from question to question comes
    /// first.
    fn messages(&self, turns: &[TurnRecord]) -> Vec<Message> {
        let mut messages = vec![Message::new(Role::System, &*self.system)];
        for turn in turns {
            messages.push(Message::new(
                Role::User,
                with_files(&turn.question, &turn.uploaded_files),
            ));
            messages.push(Message::new(Role::Assistant, &*turn.answer));
        }
        messages.push(Message::new(Role::User, &*self.question));
        messages
    }
}

/// Bytes of a turn as a prompt has it.
fn length(turn: &TurnRecord) -> usize {
    with_files(&turn.question, &turn.uploaded_files).len() + turn.answer.len()
}

/// A turn without an answer says nothing to the model.
pub(crate) fn is_remembered(turn: &TurnRecord) -> bool {
    turn.status != TurnStatus::Failed && !turn.answer.trim().is_empty()
}

/// The question as the model gets it: behind its passages, if they go with it, and the texts of the
/// files sent along.
pub(crate) fn asked(question: &str, files: &[UploadedFile], passages: &str) -> String {
    let with_files = with_files(question, files);
    match (passages.is_empty(), files.is_empty()) {
        (true, _) => with_files,
        // Files bring the label along.
        (false, false) => format!("{passages}\n\n{with_files}"),
        (false, true) => format!("{passages}\n\nQuestion: {with_files}"),
    }
}

/// A question behind the texts of the files sent along, in the documented form.
fn with_files(question: &str, files: &[UploadedFile]) -> String {
    if files.is_empty() {
        return question.to_owned();
    }
    let mut text = String::from("Uploaded Files:\n");
    for file in files {
        let url = file.url.as_deref().unwrap_or("N/A");
        let extracted = file.extracted_text.as_deref().unwrap_or("N/A");
        text += &format!(
            "File: {} (Type: {})\nURL: {url}\nExtracted Text: {extracted}\n",
            file.name, file.kind
        );
    }
    text + "\nQuestion: " + question
}
