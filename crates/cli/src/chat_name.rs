//! A chat of either kind: where a command takes both, the prefix of the id tells which it is.

use std::str::FromStr;

use longtrainer::{
    BotId, ChatId, ChatRecord, LongTrainer, ResponseOptions, ResponseStream, Result, VisionChatId,
};

/// The id of a text or a vision chat.
#[derive(Debug, Clone)]
pub(crate) enum AnyChatId {
    Text(ChatId),
    Vision(VisionChatId),
}

impl AnyChatId {
    /// Makes a chat.
    pub(crate) fn make(trainer: &LongTrainer, bot_id: &BotId, vision: bool) -> Result<Self> {
        match vision {
            true => trainer.new_vision_chat(bot_id).map(Self::Vision),
            false => trainer.new_chat(bot_id).map(Self::Text),
        }
    }

    pub(crate) fn is_vision(&self) -> bool {
        matches!(self, Self::Vision(_))
    }

    /// Asks a question; a text chat takes no pictures, which its caller has seen to.
    pub(crate) fn ask(
        &self,
        trainer: &LongTrainer,
        bot_id: &BotId,
        question: &str,
        images: &[String],
        options: ResponseOptions,
    ) -> Result<ResponseStream> {
        match self {
            Self::Text(id) => trainer.stream_response(question, bot_id, id, options),
            Self::Vision(id) => {
                trainer.stream_vision_response(question, images, bot_id, id, options)
            }
        }
    }

    pub(crate) fn record(&self, trainer: &LongTrainer) -> Result<ChatRecord> {
        match self {
            Self::Text(id) => trainer.chat(id),
            Self::Vision(id) => trainer.vision_chat(id),
        }
    }

    pub(crate) fn delete(&self, trainer: &LongTrainer) -> Result<()> {
        match self {
            Self::Text(id) => trainer.delete_chat(id),
            Self::Vision(id) => trainer.delete_vision_chat(id),
        }
    }
}

impl FromStr for AnyChatId {
    type Err = longtrainer::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.starts_with("vision-") {
            return text.parse().map(Self::Vision);
        }
        text.parse().map(Self::Text)
    }
}

impl std::fmt::Display for AnyChatId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(id) => id.fmt(formatter),
            Self::Vision(id) => id.fmt(formatter),
        }
    }
}
