//! What the server has acknowledged to one visitor, and so must keep.
//!
//! While something is being changed or deleted it is taken out: if the server is killed before it
//! answers, nobody can say which of the two states is right.

use std::collections::BTreeMap;

/// Jobs that are remembered of a bot. Of those that have ended the server keeps the last hundred.
const JOBS: usize = 30;

/// What one visitor was promised.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Bots by their ids.
    pub(crate) bots: BTreeMap<String, Bot>,
    /// Bots that are gone.
    pub(crate) gone_bots: Vec<String>,
    /// Keys that are good, by their ids.
    pub(crate) keys: BTreeMap<String, String>,
    /// Keys that are revoked.
    pub(crate) revoked: Vec<String>,
    /// How many things were acknowledged.
    pub(crate) count: usize,
}

/// A bot and what is in it.
#[derive(Debug, Default)]
pub(crate) struct Bot {
    /// Sources of documents that were added.
    pub(crate) files: Vec<String>,
    /// Texts that took the place of documents, by the ids of the new ones.
    pub(crate) texts: BTreeMap<u64, String>,
    /// Documents that are gone.
    pub(crate) gone_documents: Vec<u64>,
    /// The last jobs.
    pub(crate) jobs: Vec<String>,
    /// Chats of both kinds, by their ids.
    pub(crate) chats: BTreeMap<String, Chat>,
    /// Chats that are gone.
    pub(crate) gone_chats: Vec<(ChatKind, String)>,
}

/// A chat and what was said in it.
#[derive(Debug)]
pub(crate) struct Chat {
    pub(crate) kind: ChatKind,
    pub(crate) title: Option<String>,
    /// Questions and whole answers.
    pub(crate) turns: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChatKind {
    Text,
    Vision,
}

impl ChatKind {
    /// What the paths of such chats begin with.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Text => "chats",
            Self::Vision => "vision-chats",
        }
    }

    /// The field of a stored turn that has the answer.
    pub(crate) fn answer_field(self) -> &'static str {
        match self {
            Self::Text => "answer",
            Self::Vision => "response",
        }
    }

    /// The field of a new chat's answer that has its id.
    pub(crate) fn id_field(self) -> &'static str {
        match self {
            Self::Text => "chat_id",
            Self::Vision => "vision_chat_id",
        }
    }
}

impl Ledger {
    /// Notes something of a bot, which is there unless it is being deleted.
    pub(crate) fn of_bot(&mut self, bot: &str, note: impl FnOnce(&mut Bot)) {
        if let Some(bot) = self.bots.get_mut(bot) {
            note(bot);
            self.count += 1;
        }
    }

    /// Notes something of a chat.
    pub(crate) fn of_chat(&mut self, bot: &str, chat: &str, note: impl FnOnce(&mut Chat)) {
        let chat = self
            .bots
            .get_mut(bot)
            .and_then(|bot| bot.chats.get_mut(chat));
        if let Some(chat) = chat {
            note(chat);
            self.count += 1;
        }
    }
}

impl Bot {
    /// Notes a job, and forgets the oldest.
    pub(crate) fn begun(&mut self, job: String) {
        self.jobs.push(job);
        let too_many = self.jobs.len().saturating_sub(JOBS);
        self.jobs.drain(..too_many);
    }
}

impl Chat {
    pub(crate) fn new(kind: ChatKind) -> Self {
        Self {
            kind,
            title: None,
            turns: Vec::new(),
        }
    }
}
