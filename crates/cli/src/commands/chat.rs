//! `chat`: questions from a terminal or from the lines of standard input, answers as they stream.

use std::io::{self, BufRead, IsTerminal};
use std::path::Path;

use clap::Args;
use longtrainer::models::Role;
use longtrainer::{Adapter, BotId, BotRecord, LongTrainer, ResponseOptions};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::answer::{self, Outcome};
use crate::chat_name::AnyChatId;
use crate::commands::ask::AnswerFlags;
use crate::commands::vision_flags::DetailFlag;
use crate::error::CliError;
use crate::interrupt::Interrupts;
use crate::model_files::{ensure_both, ensure_for_vision};
use crate::notes;
use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct ChatFlags {
    /// The bot's id
    bot: BotId,
    /// Go on with this chat [default: a new one]
    #[arg(long, value_name = "ID")]
    chat: Option<AnyChatId>,
    /// Talk about pictures: `:image PATH` adds one to the next question
    #[arg(long)]
    vision: bool,
    #[command(flatten)]
    detail: DetailFlag,
    #[command(flatten)]
    answer: AnswerFlags,
}

pub(crate) fn run(flags: ChatFlags, mut session: Session) -> anyhow::Result<()> {
    let vision = flags
        .detail
        .is_vision(flags.chat.as_ref(), flags.vision, "--vision")?;
    let trainer = session.trainer()?;
    let bot = trainer.bot(&flags.bot)?;
    if let Some(chat_id) = &flags.chat {
        check_chat(&trainer, &flags.bot, chat_id)?;
    }
    let adapter = flags.answer.load_adapter()?;
    load(&trainer, &flags.bot, &bot, vision, &session)?;
    let chat_id = match &flags.chat {
        Some(chat_id) => chat_id.clone(),
        None => AnyChatId::make(&trainer, &flags.bot, vision)?,
    };
    let mut conversation = Conversation {
        interrupts: Interrupts::listen()?,
        trainer,
        chat_id,
        adapter,
        flags,
        images: Vec::new(),
        first_error: None,
    };
    conversation.greet(&session);
    let mut questions = Questions::new(&session)?;
    while let Some(line) = questions.next()? {
        conversation.take(&line, &mut session)?;
    }
    conversation.end(&questions, &session)
}

/// Loads what the chat needs, having fetched it if it is not here.
fn load(
    trainer: &LongTrainer,
    bot_id: &BotId,
    bot: &BotRecord,
    vision: bool,
    session: &Session,
) -> longtrainer::Result<()> {
    match vision {
        true => ensure_for_vision(trainer, bot, session.notes)?,
        false => ensure_both(trainer, bot, session.notes)?,
    }
    session.notes.say("Loading the models...");
    match vision {
        true => trainer.load_model(&trainer.vision_model_name(bot)?, Role::Vision),
        false => trainer.load_bot(bot_id),
    }
}

/// The chat must be one with this bot: better known before the models are loaded.
fn check_chat(trainer: &LongTrainer, bot_id: &BotId, chat_id: &AnyChatId) -> anyhow::Result<()> {
    let chat = chat_id.record(trainer)?;
    if chat.bot_id == bot_id.as_str() {
        return Ok(());
    }
    let (bot_id, chat_id) = (bot_id.to_string(), chat.chat_id);
    Err(CliError::ChatOfAnotherBot { bot_id, chat_id }.into())
}

/// A chat at work.
struct Conversation {
    trainer: LongTrainer,
    interrupts: Interrupts,
    chat_id: AnyChatId,
    flags: ChatFlags,
    adapter: Option<Adapter>,
    /// Pictures for the next question.
    images: Vec<String>,
    /// The first question that failed: what a script's exit code tells.
    first_error: Option<anyhow::Error>,
}

impl Conversation {
    fn greet(&self, session: &Session) {
        session.notes.say(format_args!(
            "Chat {}. `exit` or Ctrl-D ends it; Ctrl-C stops an answer.",
            self.chat_id
        ));
        if self.chat_id.is_vision() {
            session
                .notes
                .say("`:image PATH` adds a picture to the next question.");
        }
    }

    /// A line is a question, or adds a picture to the next one.
    fn take(&mut self, line: &str, session: &mut Session) -> anyhow::Result<()> {
        let picture = picture_of(line).filter(|_| self.chat_id.is_vision());
        match picture {
            Some(image) => {
                self.add(image.to_owned(), session);
                Ok(())
            }
            None => self.ask(line, session),
        }
    }

    /// Notes a picture. Whether it can be looked at shows when it is asked about; that it is not there
    /// is better known now.
    fn add(&mut self, image: String, session: &Session) {
        let is_here = image.starts_with("data:") || Path::new(&image).is_file();
        match is_here {
            true => self.images.push(image),
            false => session
                .notes
                .warn(format_args!("there is no picture {image}: not added")),
        }
    }

    /// A question that fails does not end the chat, only a closed standard output does.
    fn ask(&mut self, question: &str, session: &mut Session) -> anyhow::Result<()> {
        match self.answer(question, session) {
            Err(error) if !error.is::<io::Error>() => {
                notes::error(&error);
                self.first_error.get_or_insert(error);
                Ok(())
            }
            result => result,
        }
    }

    fn answer(&mut self, question: &str, session: &mut Session) -> anyhow::Result<()> {
        let options = ResponseOptions {
            detail: self.flags.detail.to_detail(),
            adapter: self.adapter.clone(),
            ..self.flags.answer.to_options(&self.trainer)
        };
        // They go with this question, whatever comes of it.
        let images = std::mem::take(&mut self.images);
        let bot = &self.flags.bot;
        let stream = self
            .chat_id
            .ask(&self.trainer, bot, question, &images, options)?;
        let output = &mut session.output;
        match answer::show(stream, &self.chat_id, &self.interrupts, output)? {
            Outcome::Answered(answer) => {
                output.line("")?;
                answer::print_sources(output, &answer.sources)?;
                output.line("")?;
                answer::tell(&answer, session.notes);
            }
            Outcome::Cancelled => session.notes.say("Stopped."),
        }
        Ok(())
    }

    /// A chat in which nothing was asked is not worth keeping.
    fn end(self, questions: &Questions, session: &Session) -> anyhow::Result<()> {
        let (bot, chat) = (&self.flags.bot, &self.chat_id);
        if self.flags.chat.is_none() && chat.record(&self.trainer)?.turns == 0 {
            chat.delete(&self.trainer)?;
        } else {
            session.notes.say(format_args!(
                "Go on with: longtrainer chat {bot} --chat {chat}"
            ));
        }
        match (self.first_error, questions) {
            // Told already; a script learns of it by the exit code.
            (Some(error), Questions::Lines(_)) => {
                Err(error.context("not every question was answered"))
            }
            _ => Ok(()),
        }
    }
}

/// The picture that a line adds to the next question; `None` for a question.
fn picture_of(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(":image")?;
    let image = rest.trim();
    let is_command = rest.starts_with(char::is_whitespace) && !image.is_empty();
    is_command.then_some(image)
}

/// Where questions come from.
enum Questions {
    Editor(Box<DefaultEditor>),
    Lines(io::Lines<io::StdinLock<'static>>),
}

impl Questions {
    /// A line editor if a person sits at both ends.
    fn new(session: &Session) -> anyhow::Result<Self> {
        let stdin = io::stdin();
        match stdin.is_terminal() && session.output.is_terminal() {
            true => Ok(Self::Editor(Box::new(DefaultEditor::new()?))),
            false => Ok(Self::Lines(stdin.lock().lines())),
        }
    }

    /// The next question; `None` at the end. Empty lines are passed over.
    fn next(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            let Some(line) = self.line()? else {
                return Ok(None);
            };
            match line.trim() {
                "" => {}
                "exit" | "quit" => return Ok(None),
                question => return Ok(Some(question.to_owned())),
            }
        }
    }

    fn line(&mut self) -> anyhow::Result<Option<String>> {
        match self {
            Self::Lines(lines) => Ok(lines
                .next()
                .transpose()
                .map_err(|source| CliError::Stdin { source })?),
            Self::Editor(editor) => match editor.readline("> ") {
                Ok(line) => {
                    editor.add_history_entry(&line)?;
                    Ok(Some(line))
                }
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => Ok(None),
                Err(error) => Err(error.into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_path_behind_the_command_adds_a_picture() {
        assert_eq!(picture_of(":image a b.png "), Some("a b.png"));
        assert_eq!(picture_of(":image\tdata:,x"), Some("data:,x"));
        for question in [":images", ":image", ":imagea.png", "What is :image a.png?"] {
            assert_eq!(picture_of(question), None, "{question}");
        }
    }
}
