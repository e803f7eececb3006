//! A bot asked with a conversation that is not stored.

use longtrainer_inference::{Message, Role};

use super::{DirectAnswer, Grounds};
use crate::conversation::{Past, PastTurn};
use crate::error::{Error, Result};
use crate::ids::BotId;
use crate::question;
use crate::response::{Asked, ResponseOptions};
use crate::trainer::LongTrainer;

/// A conversation with a bot: what was said so far, and the question.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BotChat {
    /// The messages, the question last.
    pub messages: Vec<Message>,
    /// How it is answered. What the system messages say is added to its instructions.
    pub options: ResponseOptions,
}

impl LongTrainer {
    /// Answers the last message of a conversation from a bot's documents, in the light of those before
    /// it. Nothing is stored. With pictures, the bot's vision model answers.
    ///
    /// History that does not fit is left out by whole turns, as in a chat;
    /// [`Grounds::history`] tells.
    ///
    /// # Errors
    ///
    /// [`Error::LastMessage`] if the last message is not a question, and those of
    /// [`LongTrainer::stream_response`].
    pub fn ask_bot(&self, bot_id: &BotId, chat: BotChat) -> Result<DirectAnswer> {
        let mut options = chat.options;
        let parts = Parts::of(chat.messages)?;
        options.instructions = joined(options.instructions, &parts.system);
        let asked = Asked::new(&parts.question.content, options)?;
        let bot = self.bot(bot_id)?;
        question::check_built(bot_id, &bot)?;
        let pictures = self.count_pictures(std::slice::from_ref(&parts.question))?;
        let shown: usize = parts.past.iter().map(|turn| turn.pictures.len()).sum();
        let model = match pictures + shown {
            0 => self.inner.text_model_of(&bot)?,
            _ => self.inner.vision_model_of(&bot)?,
        };
        let past = Past {
            turns: parts.past,
            ..Past::default()
        };
        let pictures = parts.question.pictures;
        let queued = self
            .inner
            .queue(&asked, pictures, bot_id, &bot, model, past)?;
        Ok(DirectAnswer {
            stream: queued.stream,
            grounds: Some(Grounds {
                retrieval: queued.found,
                history: queued.history,
            }),
            _model: queued._model,
        })
    }
}

/// A conversation as a bot's prompt has it.
struct Parts {
    system: Vec<String>,
    past: Vec<PastTurn>,
    question: Message,
}

impl Parts {
    fn of(mut messages: Vec<Message>) -> Result<Self> {
        let question = messages.pop().filter(|last| last.role == Role::User);
        let question = question.ok_or(Error::LastMessage)?;
        let mut parts = Self {
            system: Vec::new(),
            past: Vec::new(),
            question,
        };
        let mut open: Option<PastTurn> = None;
        for message in messages {
            match message.role {
                Role::System => parts.system.push(message.content),
                // What a person says twice before an answer is one question.
                Role::User => add(&mut open, message),
                Role::Assistant | Role::Tool => {
                    let mut turn = open.take().unwrap_or_else(|| turn(String::new()));
                    turn.answer = message.content;
                    parts.past.push(turn);
                }
            }
        }
        if let Some(turn) = open {
            parts.question.content = format!("{}\n\n{}", turn.question, parts.question.content);
            parts.question.pictures.splice(..0, turn.pictures);
        }
        Ok(parts)
    }
}

fn add(open: &mut Option<PastTurn>, message: Message) {
    match open {
        Some(turn) => {
            turn.question = format!("{}\n\n{}", turn.question, message.content);
            turn.pictures.extend(message.pictures);
        }
        None => {
            let mut turn = turn(message.content);
            turn.pictures = message.pictures;
            *open = Some(turn);
        }
    }
}

fn turn(question: String) -> PastTurn {
    PastTurn {
        question,
        uploaded_files: Vec::new(),
        answer: String::new(),
        pictures: Vec::new(),
        missing: Vec::new(),
    }
}

fn joined(first: Option<String>, more: &[String]) -> Option<String> {
    let all: Vec<&str> = first.iter().chain(more).map(String::as_str).collect();
    (!all.is_empty()).then(|| all.join("\n\n"))
}
