//! The flags of questions about pictures.

use clap::{Args, ValueEnum};
use longtrainer::Detail;

use crate::chat_name::AnyChatId;
use crate::error::CliError;

/// How closely pictures are looked at.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum DetailName {
    /// The whole picture at once
    Low,
    /// Four parts and the whole
    Auto,
    /// Sixteen parts and the whole
    High,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DetailFlag {
    /// How closely pictures are looked at [default: what suits the device]
    #[arg(long, value_name = "DETAIL")]
    detail: Option<DetailName>,
}

impl DetailFlag {
    pub(crate) fn to_detail(&self) -> Option<Detail> {
        self.detail.map(|name| match name {
            DetailName::Low => Detail::Low,
            DetailName::Auto => Detail::Auto,
            DetailName::High => Detail::High,
        })
    }

    /// Whether a chat is to be a vision chat: because it is one, or because it is new and `wanted` to
    /// be, by the flag or flags of that name. What only such a chat takes is refused for a text chat.
    pub(crate) fn is_vision(
        &self,
        chat: Option<&AnyChatId>,
        wanted: bool,
        flag: &str,
    ) -> Result<bool, CliError> {
        let is_vision = chat.map_or(wanted, AnyChatId::is_vision);
        let refused = match (is_vision, wanted, self.detail) {
            (false, true, _) => flag,
            (false, _, Some(_)) => "--detail",
            _ => return Ok(is_vision),
        };
        Err(CliError::Usage {
            reason: format!("{refused} is for vision chats, and this is a text chat"),
        })
    }
}
