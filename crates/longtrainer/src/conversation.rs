//! The messages that a model gets: system prompt, as much history as fits, question with passages;
//! and the pictures that belong to each of them.

use longtrainer_inference::{Detail, Message, Picture, Role, TextModel};
use longtrainer_store::{TurnRecord, TurnStatus, UploadedFile};

use crate::error::{Error, Result};
use crate::history::{Length, Lengths, Room, Tokens};
use crate::vision::MissingPicture;

/// What part of a chat's history a prompt holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryUse {
    /// Turns in the prompt: the newest ones.
    pub included: usize,
    /// Older turns left out because they did not fit the token budget.
    pub left_out: usize,
    /// Pictures that were shown with the turns in the prompt, and are again.
    #[serde(skip_serializing_if = "is_zero")]
    pub pictures: usize,
    /// Pictures that went with the turns left out: the model no longer sees them.
    #[serde(skip_serializing_if = "is_zero")]
    pub pictures_left_out: usize,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
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

/// A turn that is worth remembering, of a chat of either kind.
pub(crate) struct PastTurn {
    pub(crate) question: String,
    pub(crate) uploaded_files: Vec<UploadedFile>,
    pub(crate) answer: String,
    /// Those pictures of its question that are still to be had.
    pub(crate) pictures: Vec<Picture>,
    /// The others.
    pub(crate) missing: Vec<MissingPicture>,
}

impl PastTurn {
    /// Number of the pictures that its question came with.
    fn shown(&self) -> usize {
        self.pictures.len() + self.missing.len()
    }
}

impl From<TurnRecord> for PastTurn {
    fn from(turn: TurnRecord) -> Self {
        Self {
            question: turn.question,
            uploaded_files: turn.uploaded_files,
            answer: turn.answer,
            pictures: Vec::new(),
            missing: Vec::new(),
        }
    }
}

/// The turns of a chat before a question.
#[derive(Default)]
pub(crate) struct Past {
    /// Turns worth remembering, oldest first.
    pub(crate) turns: Vec<PastTurn>,
    /// Older ones that no prompt can hold.
    pub(crate) left_out: usize,
    /// The pictures of those.
    pub(crate) pictures_left_out: usize,
}

/// The parts of a prompt, before history is trimmed.
pub(crate) struct Conversation {
    /// The instructions, in the template's words.
    pub(crate) system: String,
    /// What was asked and answered before.
    pub(crate) past: Past,
    /// The question with what goes along with it.
    pub(crate) question: String,
    /// The pictures that it is about.
    pub(crate) pictures: Vec<Picture>,
    /// How closely all pictures are looked at.
    pub(crate) detail: Option<Detail>,
}

/// A prompt within its budget.
pub(crate) struct Fitted {
    pub(crate) messages: Vec<Message>,
    pub(crate) history: HistoryUse,
    /// Pictures of the turns in the prompt that are not in it.
    pub(crate) missing_pictures: Vec<MissingPicture>,
}

impl Conversation {
    /// The messages within `budget`. History is left out by whole turns, oldest first, in steps (see
    /// [`crate::history`]), and a turn takes its pictures along; the answer reports how many. A
    /// prompt that does not fit without any history is an error.
    pub(crate) fn fit(&self, model: &dyn TextModel, budget: Budget) -> Result<Fitted> {
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
        let turns = &self.past.turns;
        let (left_out, remembered) = turns.split_at(turns.len() - included);
        let missing = remembered.iter().flat_map(|turn| &turn.missing);
        Ok(Fitted {
            messages: self.messages(remembered),
            history: HistoryUse {
                included,
                left_out: self.past.left_out + left_out.len(),
                pictures: remembered.iter().map(|turn| turn.pictures.len()).sum(),
                pictures_left_out: self.past.pictures_left_out
                    + left_out.iter().map(PastTurn::shown).sum::<usize>(),
            },
            missing_pictures: missing.cloned().collect(),
        })
    }

    /// How many of the newest turns fit into `budget`, of which `needed` tokens are taken. Counting
    /// tokens takes as long as reading the text again, so a few turns are counted, the rest is
    /// reckoned from their lengths, and what comes of it is counted once to be sure.
    fn turns_that_fit(&self, model: &dyn TextModel, budget: usize, needed: usize) -> Result<usize> {
        let past = &self.past.turns;
        if past.is_empty() {
            return Ok(0);
        }
        let lengths = Lengths::new(past.iter().map(length));
        let (turns, sample) = lengths.sample();
        let counted = self.tokens(model, &past[..turns])?;
        if turns == past.len() && counted <= budget {
            return Ok(turns);
        }
        let room = Room::new(budget, needed);
        let a_picture = self.tokens_a_picture(model)?;
        let mut tokens = Tokens::of(sample, counted.saturating_sub(needed), a_picture);
        loop {
            let remembered = lengths.remembered(tokens, room);
            let newest = &past[past.len() - remembered..];
            if remembered == 0 || self.tokens(model, newest)? <= budget {
                return Ok(remembered);
            }
            // These turns make more of their bytes and pictures than the oldest ones: another
            // script, say.
            tokens = tokens.more();
        }
    }

    /// Tokens that a picture of the history makes, taking all together. They depend on the pictures
    /// and not on the words around them, so unlike those they are counted apart.
    fn tokens_a_picture(&self, model: &dyn TextModel) -> Result<f64> {
        let pictures: Vec<_> = self
            .past
            .turns
            .iter()
            .flat_map(|turn| &turn.pictures)
            .collect();
        if pictures.is_empty() {
            return Ok(0.0);
        }
        let number = pictures.len() as f64;
        let bare = Message::new(Role::User, "?");
        let shown = bare
            .clone()
            .with_pictures(pictures.into_iter().cloned().collect());
        let tokens = model
            .count_tokens(&[shown], self.detail)?
            .saturating_sub(model.count_tokens(&[bare], self.detail)?);
        Ok(tokens as f64 / number)
    }

    fn tokens(&self, model: &dyn TextModel, turns: &[PastTurn]) -> Result<usize> {
        Ok(model.count_tokens(&self.messages(turns), self.detail)?)
    }

    /// The messages with these turns of history. What stays the same from question to question comes
    /// first.
    fn messages(&self, turns: &[PastTurn]) -> Vec<Message> {
        let mut messages = vec![Message::new(Role::System, &*self.system)];
        for turn in turns {
            let question = with_files(&turn.question, &turn.uploaded_files);
            messages.push(Message::new(Role::User, question).with_pictures(turn.pictures.clone()));
            messages.push(Message::new(Role::Assistant, &*turn.answer));
        }
        let question = Message::new(Role::User, &*self.question);
        messages.push(question.with_pictures(self.pictures.clone()));
        messages
    }
}

/// How much of a prompt a turn is.
fn length(turn: &PastTurn) -> Length {
    Length {
        bytes: with_files(&turn.question, &turn.uploaded_files).len() + turn.answer.len(),
        pictures: turn.pictures.len(),
    }
}

/// A turn without an answer says nothing to the model.
pub(crate) fn is_remembered(turn: &TurnRecord) -> bool {
    turn.status != TurnStatus::Failed && !turn.answer.trim().is_empty()
}

/// The question as the model gets it: behind its passages, if they go with it, and the texts of the
/// files sent along.
pub(crate) fn with_passages(question: &str, files: &[UploadedFile], passages: &str) -> String {
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
