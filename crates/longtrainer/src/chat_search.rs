//! Finding a turn again: a search for words in the questions and answers of a bot's chats.

use std::cmp::Reverse;

use jiff::Timestamp;
use longtrainer_store::{ChatKind, ChatRecord, Order};
use regex::{Regex, RegexBuilder};

use crate::error::{Error, Result};
use crate::ids::BotId;
use crate::trainer::LongTrainer;

/// Most bytes of what is searched for.
const MAX_QUERY_BYTES: usize = 1000;
/// Characters that an excerpt shows on each side of a hit.
const AROUND: usize = 80;

/// Turns that hold what was searched for.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChatSearch {
    /// The turns: of the chat that was used last first, and of each chat the newest first.
    pub matches: Vec<ChatMatch>,
    /// Whether there are more.
    pub more: bool,
}

/// A turn that holds every word that was searched for.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChatMatch {
    /// `chat-<uuid4>` or `vision-<uuid4>`.
    pub chat_id: String,
    /// Text or vision.
    pub kind: ChatKind,
    /// The chat's name, if it has one.
    pub title: Option<String>,
    /// The turn's place in the chat, from 0.
    pub turn: u64,
    /// When it was asked.
    pub timestamp: Timestamp,
    /// The question, around the first word found in it.
    pub question: String,
    /// The answer, likewise.
    pub answer: String,
}

/// What a turn of either kind has.
struct Said {
    turn: u64,
    timestamp: Timestamp,
    question: String,
    answer: String,
}

impl LongTrainer {
    /// The turns of a bot's chats, text and vision, in whose question or answer every word of `query`
    /// occurs, in whatever case and also as a part of a word; at most `limit` of them.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyQuestion`] if there is no word, [`Error::QuestionTooLarge`] if there are too many.
    pub fn search_chats(&self, bot_id: &BotId, query: &str, limit: usize) -> Result<ChatSearch> {
        let words = words(query)?;
        let mut chats = self.chats(bot_id, ChatKind::Text)?;
        chats.extend(self.chats(bot_id, ChatKind::Vision)?);
        chats.sort_by_key(|chat| Reverse(chat.updated_at));
        let mut matches = Vec::new();
        for chat in &chats {
            for said in self.said_in(chat)? {
                if !said.has_all(&words) {
                    continue;
                }
                if matches.len() == limit {
                    return Ok(ChatSearch {
                        matches,
                        more: true,
                    });
                }
                matches.push(said.as_match(chat, &words));
            }
        }
        Ok(ChatSearch {
            matches,
            more: false,
        })
    }

    /// What was said in a chat, newest first. One that has been deleted since says nothing.
    fn said_in(&self, chat: &ChatRecord) -> Result<Vec<Said>> {
        let store = &self.inner.store;
        let said = match chat.kind {
            ChatKind::Text => store
                .turns(&chat.chat_id, Order::Newest, None)
                .map(|turns| {
                    let said = turns.into_iter().map(|turn| Said {
                        turn: turn.turn,
                        timestamp: turn.timestamp,
                        question: turn.question,
                        answer: turn.answer,
                    });
                    said.collect()
                }),
            ChatKind::Vision => {
                let turns = store.vision_turns(&chat.chat_id, Order::Newest, None);
                turns.map(|turns| {
                    let said = turns.into_iter().map(|turn| Said {
                        turn: turn.turn,
                        timestamp: turn.timestamp,
                        question: turn.question,
                        answer: turn.response,
                    });
                    said.collect()
                })
            }
        };
        match said {
            Err(longtrainer_store::Error::ChatNotFound { .. }) => Ok(Vec::new()),
            said => Ok(said?),
        }
    }
}

impl Said {
    fn has_all(&self, words: &[Regex]) -> bool {
        words
            .iter()
            .all(|word| word.is_match(&self.question) || word.is_match(&self.answer))
    }

    fn as_match(&self, chat: &ChatRecord, words: &[Regex]) -> ChatMatch {
        ChatMatch {
            chat_id: chat.chat_id.clone(),
            kind: chat.kind,
            title: chat.title.clone(),
            turn: self.turn,
            timestamp: self.timestamp,
            question: excerpt(&self.question, words),
            answer: excerpt(&self.answer, words),
        }
    }
}

/// What to look for: each word as it is written, in any case.
fn words(query: &str) -> Result<Vec<Regex>> {
    if query.len() > MAX_QUERY_BYTES {
        return Err(Error::QuestionTooLarge {
            bytes: query.len(),
            limit: MAX_QUERY_BYTES,
        });
    }
    let words: Vec<_> = query
        .split_whitespace()
        .filter_map(|word| {
            RegexBuilder::new(&regex::escape(word))
                .case_insensitive(true)
                .build()
                .ok()
        })
        .collect();
    match words.is_empty() {
        true => Err(Error::EmptyQuestion),
        false => Ok(words),
    }
}

/// The text around the first word found in it, or its beginning.
fn excerpt(text: &str, words: &[Regex]) -> String {
    let hit = words
        .iter()
        .filter_map(|word| word.find(text))
        .min_by_key(regex::Match::start)
        .map_or(0..0, |hit| hit.range());
    let from = text[..hit.start]
        .char_indices()
        .rev()
        .nth(AROUND - 1)
        .map_or(0, |(at, _)| at);
    let to = text[hit.end..]
        .char_indices()
        .nth(AROUND)
        .map_or(text.len(), |(at, _)| hit.end + at);
    let before = if from > 0 { "…" } else { "" };
    let after = if to < text.len() { "…" } else { "" };
    format!("{before}{}{after}", &text[from..to])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_shows_the_hit_and_never_cuts_a_character() {
        let long = format!("{}Leuchtturm{}", "ä".repeat(500), "ö".repeat(500));
        let shown = excerpt(&long, &words("LEUCHTTURM").unwrap());
        assert_eq!(
            shown,
            format!("…{}Leuchtturm{}…", "ä".repeat(AROUND), "ö".repeat(AROUND))
        );
        assert_eq!(excerpt("short", &words("nothing").unwrap()), "short");
        assert_eq!(excerpt("", &words("x").unwrap()), "");
    }

    #[test]
    fn what_is_searched_for_is_no_pattern() {
        let dots = &words("a.c").unwrap()[0];
        assert!(dots.is_match("xA.Cx") && !dots.is_match("abc"));
        assert!(matches!(words(" \n"), Err(Error::EmptyQuestion)));
        assert!(words(&"x".repeat(1001)).is_err());
    }
}
