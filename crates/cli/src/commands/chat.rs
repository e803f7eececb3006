//! `chat`: questions from a terminal or from the lines of standard input, answers as they stream.

use std::io::{self, BufRead, IsTerminal};

use clap::Args;
use longtrainer::{BotId, ChatId, LongTrainer};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::answer::{self, Outcome};
use crate::commands::ask::AnswerFlags;
use crate::error::CliError;
use crate::interrupt::Interrupts;
use crate::model_files::ensure_both;
use crate::notes;
use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct ChatFlags {
    /// The bot's id
    bot: BotId,
    /// Go on with this chat [default: a new one]
    #[arg(long, value_name = "ID")]
    chat: Option<ChatId>,
    #[command(flatten)]
    answer: AnswerFlags,
}

pub(crate) fn run(flags: ChatFlags, mut session: Session) -> anyhow::Result<()> {
    let trainer = session.trainer()?;
    let bot = trainer.bot(&flags.bot)?;
    if let Some(chat_id) = &flags.chat {
        check_chat(&trainer, &flags.bot, chat_id)?;
    }
    ensure_both(&trainer, &bot, session.notes)?;
    session.notes.say("Loading the models...");
    trainer.load_bot(&flags.bot)?;
    let chat_id = match &flags.chat {
        Some(chat_id) => chat_id.clone(),
        None => trainer.new_chat(&flags.bot)?,
    };
    let mut conversation = Conversation {
        interrupts: Interrupts::listen()?,
        trainer,
        chat_id,
        flags,
        first_error: None,
    };
    conversation.greet(&session);
    let mut questions = Questions::new(&session)?;
    while let Some(question) = questions.next()? {
        conversation.ask(&question, &mut session)?;
    }
    conversation.end(&questions, &session)
}

/// The chat must be one with this bot: better known before the models are loaded.
fn check_chat(trainer: &LongTrainer, bot_id: &BotId, chat_id: &ChatId) -> anyhow::Result<()> {
    let chat = trainer.chat(chat_id)?;
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
    chat_id: ChatId,
    flags: ChatFlags,
    /// The first question that failed: what a script's exit code tells.
    first_error: Option<anyhow::Error>,
}

impl Conversation {
    fn greet(&self, session: &Session) {
        session.notes.say(format_args!(
            "Chat {}. `exit` or Ctrl-D ends it; Ctrl-C stops an answer.",
            self.chat_id
        ));
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

    fn answer(&self, question: &str, session: &mut Session) -> anyhow::Result<()> {
        let options = self.flags.answer.to_options(&self.trainer);
        let stream =
            self.trainer
                .stream_response(question, &self.flags.bot, &self.chat_id, options)?;
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
        if self.flags.chat.is_none() && self.trainer.chat(chat)?.turns == 0 {
            self.trainer.delete_chat(chat)?;
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
