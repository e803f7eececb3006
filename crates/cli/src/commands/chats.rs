//! `chats`: the stored chats of a bot, text and vision.

use clap::Subcommand;
use indicatif::HumanBytes;
use longtrainer::{
    BotId, ChatKind, ChatRecord, Order, SourceRecord, TurnRecord, TurnStatus, VisionTurnRecord,
};
use serde::Serialize;

use crate::chat_name::AnyChatId;
use crate::confirm;
use crate::output::{Output, counted, seconds};
use crate::session::Session;
use crate::source_line::place;

#[derive(Debug, Subcommand)]
pub(crate) enum ChatsCommand {
    /// List a bot's chats, text chats first, oldest first
    List {
        /// The bot's id
        bot: BotId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the turns of a chat, newest first
    Show {
        /// The chat's id
        chat: AnyChatId,
        /// Show the oldest turn first
        #[arg(long)]
        oldest_first: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a chat a title; an empty one takes it away
    Rename {
        /// The chat's id
        chat: AnyChatId,
        /// The new title
        title: String,
    },
    /// Delete a chat with its turns
    Delete {
        /// The chat's id
        chat: AnyChatId,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

pub(crate) fn run(command: ChatsCommand, session: Session) -> anyhow::Result<()> {
    match command {
        ChatsCommand::List { bot, json } => list(&bot, json, session),
        ChatsCommand::Show {
            chat,
            oldest_first,
            json,
        } => show(
            &chat,
            if oldest_first {
                Order::Oldest
            } else {
                Order::Newest
            },
            json,
            session,
        ),
        ChatsCommand::Rename { chat, title } => rename(&chat, &title, &session),
        ChatsCommand::Delete { chat, yes } => delete(&chat, yes, &session),
    }
}

fn list(bot_id: &BotId, json: bool, mut session: Session) -> anyhow::Result<()> {
    let trainer = session.trainer()?;
    let mut chats = trainer.chats(bot_id, ChatKind::Text)?;
    chats.extend(trainer.chats(bot_id, ChatKind::Vision)?);
    if json {
        return session.output.json(&chats);
    }
    let rows: Vec<_> = chats.iter().map(row).collect();
    Ok(session
        .output
        .table(["CHAT", "TURNS", "LAST CHANGE", "TITLE"], &rows)?)
}

fn row(chat: &ChatRecord) -> [String; 4] {
    let title = chat.title.clone().unwrap_or_default();
    [
        chat.chat_id.clone(),
        chat.turns.to_string(),
        seconds(chat.updated_at),
        title,
    ]
}

fn show(chat: &AnyChatId, order: Order, json: bool, mut session: Session) -> anyhow::Result<()> {
    let trainer = session.trainer()?;
    let output = &mut session.output;
    match chat {
        AnyChatId::Text(id) => {
            let turns = trainer.get_chat_by_id(id, order)?;
            print_turns(output, json, &turns)
        }
        AnyChatId::Vision(id) => {
            let turns = trainer.get_vision_chat_by_id(id, order)?;
            print_turns(output, json, &turns)
        }
    }
}

fn print_turns<T>(output: &mut Output, json: bool, turns: &[T]) -> anyhow::Result<()>
where
    T: Serialize,
    for<'a> ShownTurn<'a>: From<&'a T>,
{
    match json {
        true => output.json(&turns),
        false => turns
            .iter()
            .try_for_each(|turn| ShownTurn::from(turn).print(output)),
    }
}

/// What a person is shown of a turn, text or vision.
struct ShownTurn<'a> {
    heading: String,
    question: &'a str,
    answer: &'a str,
    pictures: Vec<String>,
    sources: &'a [SourceRecord],
    status: TurnStatus,
    error: Option<&'a str>,
}

impl<'a> From<&'a TurnRecord> for ShownTurn<'a> {
    fn from(turn: &'a TurnRecord) -> Self {
        Self {
            heading: format!("[{}] {}", turn.turn, seconds(turn.timestamp)),
            question: &turn.question,
            answer: &turn.answer,
            pictures: Vec::new(),
            sources: &turn.sources,
            status: turn.status,
            error: turn.error.as_deref(),
        }
    }
}

impl<'a> From<&'a VisionTurnRecord> for ShownTurn<'a> {
    fn from(turn: &'a VisionTurnRecord) -> Self {
        Self {
            heading: format!("[{}] {}", turn.turn, seconds(turn.timestamp)),
            question: &turn.question,
            answer: &turn.response,
            pictures: pictures(turn),
            sources: &turn.sources,
            status: turn.status,
            error: turn.error.as_deref(),
        }
    }
}

/// The pictures of a turn, a line each: what they are and whether a copy is kept, where they could be
/// read.
fn pictures(turn: &VisionTurnRecord) -> Vec<String> {
    let line = |(place, name): (usize, &String)| match turn.pictures.get(place) {
        None => name.clone(),
        Some(picture) => {
            let kind = picture.media_type.as_deref().unwrap_or("unknown kind");
            let kept = if picture.kept { "kept" } else { "not kept" };
            format!("{name} ({kind}, {}, {kept})", HumanBytes(picture.size))
        }
    };
    turn.image_paths.iter().enumerate().map(line).collect()
}

impl ShownTurn<'_> {
    fn print(&self, output: &mut Output) -> anyhow::Result<()> {
        let end = match self.status {
            TurnStatus::Complete => "",
            TurnStatus::Cancelled => " (cancelled)",
            TurnStatus::Failed => " (failed)",
        };
        output.line(&format!("{}{end}", self.heading))?;
        output.line(&format!("You: {}", self.question))?;
        for picture in &self.pictures {
            output.line(&format!("  picture: {picture}"))?;
        }
        output.line(&format!("Bot: {}", self.answer))?;
        for source in self.sources {
            let place = place(&source.source, source.page, source.row);
            output.line(&format!("  {place} (score {:.3})", source.score))?;
        }
        if let Some(error) = self.error {
            output.line(&format!("  error: {error}"))?;
        }
        Ok(output.line("")?)
    }
}

fn rename(chat: &AnyChatId, title: &str, session: &Session) -> anyhow::Result<()> {
    let trainer = session.trainer()?;
    let title = Some(title.trim()).filter(|title| !title.is_empty());
    match chat {
        AnyChatId::Text(id) => trainer.rename_chat(id, title)?,
        AnyChatId::Vision(id) => trainer.rename_vision_chat(id, title)?,
    };
    Ok(())
}

fn delete(chat: &AnyChatId, yes: bool, session: &Session) -> anyhow::Result<()> {
    let trainer = session.trainer()?;
    let record = chat.record(&trainer)?;
    let what = format!("chat {chat} with {}", counted(record.turns, "turn"));
    confirm::deletion(&what, yes)?;
    chat.delete(&trainer)?;
    session.notes.say(format_args!("Deleted {what}"));
    Ok(())
}
