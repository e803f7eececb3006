//! The ids of bots and chats. Each is a type of its own, so that one cannot stand for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// A new id, unlike any other.
            pub(crate) fn random() -> Self {
                Self(format!(concat!($prefix, "{}"), Uuid::new_v4()))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                match text.strip_prefix($prefix).map(Uuid::try_parse) {
                    Some(Ok(uuid)) => Ok(Self(format!(concat!($prefix, "{}"), uuid))),
                    _ => Err(Error::InvalidId {
                        kind: $kind,
                        prefix: $prefix,
                        text: text.to_owned(),
                    }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

id_type!(
    /// Names a bot: `bot-<uuid4>`.
    BotId,
    "bot",
    "bot-"
);
id_type!(
    /// Names a text chat: `chat-<uuid4>`.
    ChatId,
    "chat",
    "chat-"
);
id_type!(
    /// Names a vision chat: `vision-<uuid4>`.
    VisionChatId,
    "vision chat",
    "vision-"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text_and_json() {
        let id = BotId::random();
        assert_eq!(id.as_str().parse::<BotId>().unwrap(), id);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<BotId>(&json).unwrap(), id);
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let chat = ChatId::random();
        for text in [chat.as_str(), "", "bot-", "bot-42", "bot-../../etc/passwd"] {
            let error = text.parse::<BotId>().unwrap_err();
            assert!(
                matches!(&error, Error::InvalidId { kind: "bot", .. }),
                "{error}"
            );
        }
    }
}
