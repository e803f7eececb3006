//! Chats as files: a line of JSON a turn, or Markdown to read. A piece at a time, so that a long
//! history is never in memory as a whole.

use std::collections::VecDeque;
use std::fmt::Write;

use longtrainer_store::{
    ChatKind, ChatRecord, SourceRecord, TurnRecord, TurnStatus, VisionTurnRecord,
};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::ids::{BotId, ChatId, VisionChatId};
use crate::trainer::LongTrainer;

/// Turns in one piece.
const PIECE: usize = 64;

/// What an exported chat looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// A line a turn: the stored record with the ids and the name of its chat.
    Jsonl,
    /// A text to read: a chapter a chat, a section a turn.
    Markdown,
}

/// Chats on their way out; see [`LongTrainer::export_chats`].
pub struct ChatExport {
    trainer: LongTrainer,
    format: ExportFormat,
    waiting: VecDeque<ChatRecord>,
    /// The chat that is being written, and the turn that comes next.
    current: Option<(ChatRecord, u64)>,
}

impl LongTrainer {
    /// Every chat of a bot, oldest first, text chats before vision chats.
    pub fn export_chats(&self, bot_id: &BotId, format: ExportFormat) -> Result<ChatExport> {
        let mut chats = self.chats(bot_id, ChatKind::Text)?;
        chats.extend(self.chats(bot_id, ChatKind::Vision)?);
        Ok(self.export(chats, format))
    }

    /// One text chat.
    pub fn export_chat(&self, chat_id: &ChatId, format: ExportFormat) -> Result<ChatExport> {
        Ok(self.export(vec![self.chat(chat_id)?], format))
    }

    /// One vision chat.
    pub fn export_vision_chat(
        &self,
        chat_id: &VisionChatId,
        format: ExportFormat,
    ) -> Result<ChatExport> {
        Ok(self.export(vec![self.vision_chat(chat_id)?], format))
    }

    fn export(&self, chats: Vec<ChatRecord>, format: ExportFormat) -> ChatExport {
        ChatExport {
            trainer: self.clone(),
            format,
            waiting: chats.into(),
            current: None,
        }
    }
}

impl ChatExport {
    /// The next piece of the file; `None` at its end.
    pub fn next_piece(&mut self) -> Result<Option<String>> {
        loop {
            let Some((chat, first)) = self.current.take() else {
                let Some(chat) = self.waiting.pop_front() else {
                    return Ok(None);
                };
                let heading = match self.format {
                    ExportFormat::Jsonl => None,
                    ExportFormat::Markdown => Some(heading(&chat)),
                };
                self.current = Some((chat, 0));
                match heading {
                    Some(heading) => return Ok(Some(heading)),
                    None => continue,
                }
            };
            let (piece, turns) = match self.turns(&chat, first) {
                // It has been deleted since.
                Err(Error::Store(longtrainer_store::Error::ChatNotFound { .. })) => continue,
                written => written?,
            };
            if turns > 0 {
                self.current = Some((chat, first + turns));
                return Ok(Some(piece));
            }
        }
    }

    /// The next turns of a chat, and how many they are.
    fn turns(&self, chat: &ChatRecord, first: u64) -> Result<(String, u64)> {
        let store = &self.trainer.inner.store;
        let mut piece = String::new();
        let turns = match chat.kind {
            ChatKind::Text => {
                let turns = store.turns_from(&chat.chat_id, first, PIECE)?;
                turns
                    .iter()
                    .try_for_each(|turn| self.text_turn(&mut piece, chat, turn))?;
                turns.len()
            }
            ChatKind::Vision => {
                let turns = store.vision_turns_from(&chat.chat_id, first, PIECE)?;
                turns
                    .iter()
                    .try_for_each(|turn| self.vision_turn(&mut piece, chat, turn))?;
                turns.len()
            }
        };
        Ok((piece, turns as u64))
    }

    fn text_turn(&self, piece: &mut String, chat: &ChatRecord, turn: &TurnRecord) -> Result<()> {
        match self.format {
            ExportFormat::Jsonl => line(
                piece,
                &TextLine {
                    bot_id: &chat.bot_id,
                    chat_id: &chat.chat_id,
                    title: chat.title.as_deref(),
                    turn,
                },
            ),
            ExportFormat::Markdown => {
                section(
                    piece,
                    &Section {
                        number: turn.turn,
                        timestamp: turn.timestamp,
                        question: &turn.question,
                        pictures: &[],
                        answer: &turn.answer,
                        status: turn.status,
                        error: turn.error.as_deref(),
                        sources: &turn.sources,
                    },
                );
                Ok(())
            }
        }
    }

    fn vision_turn(
        &self,
        piece: &mut String,
        chat: &ChatRecord,
        turn: &VisionTurnRecord,
    ) -> Result<()> {
        match self.format {
            ExportFormat::Jsonl => line(
                piece,
                &VisionLine {
                    bot_id: &chat.bot_id,
                    vision_chat_id: &chat.chat_id,
                    title: chat.title.as_deref(),
                    turn,
                },
            ),
            ExportFormat::Markdown => {
                section(
                    piece,
                    &Section {
                        number: turn.turn,
                        timestamp: turn.timestamp,
                        question: &turn.question,
                        pictures: &turn.image_paths,
                        answer: &turn.response,
                        status: turn.status,
                        error: turn.error.as_deref(),
                        sources: &turn.sources,
                    },
                );
                Ok(())
            }
        }
    }
}

#[derive(Serialize)]
struct TextLine<'a> {
    bot_id: &'a str,
    chat_id: &'a str,
    title: Option<&'a str>,
    #[serde(flatten)]
    turn: &'a TurnRecord,
}

#[derive(Serialize)]
struct VisionLine<'a> {
    bot_id: &'a str,
    vision_chat_id: &'a str,
    title: Option<&'a str>,
    #[serde(flatten)]
    turn: &'a VisionTurnRecord,
}

fn line(piece: &mut String, record: &impl Serialize) -> Result<()> {
    *piece += &serde_json::to_string(record).map_err(Error::Export)?;
    piece.push('\n');
    Ok(())
}

fn heading(chat: &ChatRecord) -> String {
    let title = chat.title.as_deref().unwrap_or(&chat.chat_id);
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    format!(
        "# {title}\n\n{}, begun {}\n\n",
        chat.chat_id,
        chat.created_at.strftime("%Y-%m-%d %H:%M UTC")
    )
}

/// A turn to read.
struct Section<'a> {
    number: u64,
    timestamp: jiff::Timestamp,
    question: &'a str,
    pictures: &'a [String],
    answer: &'a str,
    status: TurnStatus,
    error: Option<&'a str>,
    sources: &'a [SourceRecord],
}

/// The question stands in a quotation, so that no heading in it looks like one of the file.
fn section(piece: &mut String, turn: &Section<'_>) {
    let time = turn.timestamp.strftime("%Y-%m-%d %H:%M UTC");
    // Writing to a string does not fail.
    let _ = writeln!(piece, "## {} ({time})\n", turn.number + 1);
    for text in turn.question.lines() {
        let _ = writeln!(piece, "> {text}");
    }
    for picture in turn.pictures {
        let _ = writeln!(piece, ">\n> Picture: {}", shortened(picture));
    }
    let _ = writeln!(piece, "\n{}\n", turn.answer.trim_end());
    match turn.status {
        TurnStatus::Complete => {}
        TurnStatus::Cancelled => *piece += "*The answer was cancelled.*\n\n",
        TurnStatus::Failed => {
            let _ = writeln!(
                piece,
                "*The answer failed: {}*\n",
                turn.error.unwrap_or("no reason was stored")
            );
        }
    }
    if !turn.sources.is_empty() {
        *piece += "Sources:\n\n";
        for source in turn.sources {
            let _ = writeln!(piece, "- {}{}", source.source, place(source));
        }
        piece.push('\n');
    }
}

/// Where in its file a source stands.
fn place(source: &SourceRecord) -> String {
    match (source.page, source.row) {
        (Some(page), _) => format!(", page {page}"),
        (None, Some(row)) => format!(", row {row}"),
        (None, None) => String::new(),
    }
}

/// A picture that came as a data URL is called by its beginning.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(120) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}
