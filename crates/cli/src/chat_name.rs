//! The id of a chat of either kind: where a command takes both, the prefix tells which it is.

use std::str::FromStr;

use longtrainer::{ChatId, VisionChatId};

/// The id of a text or a vision chat.
#[derive(Debug, Clone)]
pub(crate) enum AnyChatId {
    Text(ChatId),
    Vision(VisionChatId),
}

impl FromStr for AnyChatId {
    type Err = longtrainer::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
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
