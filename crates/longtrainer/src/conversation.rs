//! The messages that a model gets: system prompt with passages, as much history as fits, question.

use longtrainer_inference::{Message, Role, TextModel};
use longtrainer_store::{TurnRecord, TurnStatus, UploadedFile};

use crate::error::{Error, Result};

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
    /// The filled template.
    pub(crate) system: String,
    /// Turns worth remembering, oldest first.
    pub(crate) history: Vec<TurnRecord>,
    /// The question with what was uploaded along.
    pub(crate) question: String,
}

impl Conversation {
    /// The messages within `budget`. History is left out by whole turns, oldest first; the answer
    /// reports how many. A prompt that does not fit without any history is an error.
    pub(crate) fn fit(
        &self,
        model: &dyn TextModel,
        budget: Budget,
    ) -> Result<(Vec<Message>, HistoryUse)> {
        let needed = model.count_tokens(&self.messages(0))?;
        if needed > budget.prompt {
            return Err(Error::PromptTooLong {
                needed,
                budget: budget.prompt,
                context_length: budget.context,
                max_tokens: budget.answer,
            });
        }
        let included = self.most_turns(model, budget.prompt)?;
        let left_out = self.history.len() - included;
        Ok((self.messages(included), HistoryUse { included, left_out }))
    }

    /// The greatest number of newest turns that fit: doubling until they do not, then halving the
    /// gap, so that a long chat is not tokenised in full to keep its last few turns.
    fn most_turns(&self, model: &dyn TextModel, budget: usize) -> Result<usize> {
        let fits = |turns| Ok::<_, Error>(model.count_tokens(&self.messages(turns))? <= budget);
        let (mut fitting, mut step) = (0, 1);
        while fitting < self.history.len() {
            let next = (fitting + step).min(self.history.len());
            if !fits(next)? {
                return largest_fitting(fitting, next, fits);
            }
            (fitting, step) = (next, step * 2);
        }
        Ok(fitting)
    }

    /// The messages with the newest `turns` turns of history.
    fn messages(&self, turns: usize) -> Vec<Message> {
        let mut messages = vec![Message::new(Role::System, &*self.system)];
        for turn in &self.history[self.history.len() - turns..] {
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

/// The largest number from `fitting` on, below `not_fitting`, for which `fits` holds.
fn largest_fitting(
    mut fitting: usize,
    mut not_fitting: usize,
    fits: impl Fn(usize) -> Result<bool>,
) -> Result<usize> {
    while not_fitting - fitting > 1 {
        let middle = fitting + (not_fitting - fitting) / 2;
        match fits(middle)? {
            true => fitting = middle,
            false => not_fitting = middle,
        }
    }
    Ok(fitting)
}

/// A turn without an answer says nothing to the model.
pub(crate) fn is_remembered(turn: &TurnRecord) -> bool {
    turn.status != TurnStatus::Failed && !turn.answer.trim().is_empty()
}

/// The question as the model gets it: behind the texts of the files sent along, in the documented
/// form.
pub(crate) fn with_files(question: &str, files: &[UploadedFile]) -> String {
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
