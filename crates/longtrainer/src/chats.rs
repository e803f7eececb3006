//! Chats: made, listed, named, read, deleted. A chat is stored from the moment it is made.

use jiff::Timestamp;
use longtrainer_store::{BotRecord, ChatKind, ChatRecord, Order, TurnRecord, VisionTurnRecord};

use crate::error::{Error, Result};
use crate::ids::{BotId, ChatId, VisionChatId};
use crate::trainer::LongTrainer;

/// The ids of a bot's chats, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ChatList {
    /// Text chats.
    pub chat_ids: Vec<ChatId>,
    /// Vision chats.
    pub vision_chat_ids: Vec<VisionChatId>,
}

impl LongTrainer {
    /// Makes a text chat with a bot and returns its id: `chat-<uuid4>`.
    pub fn new_chat(&self, bot_id: &BotId) -> Result<ChatId> {
        let chat_id = ChatId::random();
        self.store_chat(bot_id, chat_id.as_str(), ChatKind::Text)?;
        Ok(chat_id)
    }

    /// Makes a vision chat with a bot and returns its id: `vision-<uuid4>`.
    pub fn new_vision_chat(&self, bot_id: &BotId) -> Result<VisionChatId> {
        let chat_id = VisionChatId::random();
        self.store_chat(bot_id, chat_id.as_str(), ChatKind::Vision)?;
        Ok(chat_id)
    }

    fn store_chat(&self, bot_id: &BotId, chat_id: &str, kind: ChatKind) -> Result<()> {
        let now = Timestamp::now();
        self.inner.store.create_chat(&ChatRecord {
            chat_id: chat_id.to_owned(),
            bot_id: bot_id.to_string(),
            kind,
            title: None,
            created_at: now,
            updated_at: now,
            turns: 0,
        })?;
        Ok(())
    }

    /// The ids of a bot's chats, those without a turn included.
    pub fn list_chats(&self, bot_id: &BotId) -> Result<ChatList> {
        let ids = |kind| Ok::<_, Error>(self.chats(bot_id, kind)?.into_iter().map(|c| c.chat_id));
        Ok(ChatList {
            chat_ids: ids(ChatKind::Text)?
                .map(|id| id.parse())
                .collect::<Result<_>>()?,
            vision_chat_ids: ids(ChatKind::Vision)?
                .map(|id| id.parse())
                .collect::<Result<_>>()?,
        })
    }

    /// A bot's chats of one kind with their titles, times and numbers of turns, oldest first.
    pub fn chats(&self, bot_id: &BotId, kind: ChatKind) -> Result<Vec<ChatRecord>> {
        self.bot(bot_id)?;
        Ok(self.inner.store.chats(bot_id.as_str(), kind)?)
    }

    /// One text chat's record.
    pub fn chat(&self, chat_id: &ChatId) -> Result<ChatRecord> {
        Ok(self.inner.store.chat(chat_id.as_str())?)
    }

    /// One vision chat's record.
    pub fn vision_chat(&self, chat_id: &VisionChatId) -> Result<ChatRecord> {
        Ok(self.inner.store.chat(chat_id.as_str())?)
    }

    /// Names a text chat; `None` takes the name away.
    pub fn rename_chat(&self, chat_id: &ChatId, title: Option<&str>) -> Result<ChatRecord> {
        Ok(self.inner.store.rename_chat(chat_id.as_str(), title)?)
    }

    /// Names a vision chat; `None` takes the name away.
    pub fn rename_vision_chat(
        &self,
        chat_id: &VisionChatId,
        title: Option<&str>,
    ) -> Result<ChatRecord> {
        Ok(self.inner.store.rename_chat(chat_id.as_str(), title)?)
    }

    /// Deletes a text chat with its turns.
    pub fn delete_chat(&self, chat_id: &ChatId) -> Result<()> {
        Ok(self.inner.store.delete_chat(chat_id.as_str())?)
    }

    /// Deletes a vision chat with its turns, and the copies of its pictures that no other chat of its bot
    /// needs.
    pub fn delete_vision_chat(&self, chat_id: &VisionChatId) -> Result<()> {
        Ok(self.inner.store.delete_chat(chat_id.as_str())?)
    }

    /// All turns of a text chat.
    pub fn get_chat_by_id(&self, chat_id: &ChatId, order: Order) -> Result<Vec<TurnRecord>> {
        Ok(self.inner.store.turns(chat_id.as_str(), order, None)?)
    }

    /// All turns of a vision chat.
    pub fn get_vision_chat_by_id(
        &self,
        chat_id: &VisionChatId,
        order: Order,
    ) -> Result<Vec<VisionTurnRecord>> {
        Ok(self
            .inner
            .store
            .vision_turns(chat_id.as_str(), order, None)?)
    }

    /// The bytes of a picture of which a vision chat keeps a copy, by the SHA-256 that its turn names.
    pub fn vision_picture(&self, chat_id: &VisionChatId, sha256: &str) -> Result<Vec<u8>> {
        Ok(self.inner.store.picture(chat_id.as_str(), sha256)?)
    }

    /// The bot of a chat, which must be the one named: an id of another bot's chat is as unknown
    /// as one that was never made.
    pub(crate) fn bot_of_chat(&self, bot_id: &BotId, chat_id: &str) -> Result<BotRecord> {
        let bot = self.bot(bot_id)?;
        let chat = self.inner.store.chat(chat_id)?;
        match chat.bot_id == bot.bot_id {
            true => Ok(bot),
            false => Err(Error::Store(longtrainer_store::Error::ChatNotFound {
                chat_id: chat_id.to_owned(),
            })),
        }
    }
}
