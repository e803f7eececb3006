//! What is asked of chats beside questions: lists of them, searches, files.

use std::cmp::Reverse;

use longtrainer::{ChatKind, ChatRecord, ExportFormat};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api_error::ApiError;

/// Turns that a search finds, unless told otherwise, and at most.
const MATCHES: usize = 20;
const MOST_MATCHES: usize = 200;
/// Chats in one list, at most, where a number is given.
const MOST_CHATS: usize = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum KindName {
    Text,
    Vision,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ChatOrder {
    /// By the time they were made.
    #[default]
    Oldest,
    Newest,
    /// The one that was used last first.
    Recent,
}

/// Which chats are listed. Without anything, all of them, as documented.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChatsQuery {
    /// Only chats of this kind.
    #[param(inline)]
    kind: Option<KindName>,
    /// Which chat comes first.
    #[serde(default)]
    #[param(inline)]
    order: ChatOrder,
    /// Chats of each kind that are passed over.
    #[serde(default)]
    offset: usize,
    /// Most chats of each kind.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

impl ChatsQuery {
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        match self.limit {
            Some(limit) if !(1..=MOST_CHATS).contains(&limit) => Err(ApiError::unprocessable(
                format!("limit is {limit}, but must be from 1 to {MOST_CHATS}"),
            )),
            _ => Ok(()),
        }
    }

    pub(crate) fn wants(&self, kind: ChatKind) -> bool {
        match self.kind {
            None => true,
            Some(KindName::Text) => kind == ChatKind::Text,
            Some(KindName::Vision) => kind == ChatKind::Vision,
        }
    }

    /// The page that was asked for of chats that come oldest first.
    fn page(&self, mut chats: Vec<ChatRecord>) -> Vec<ChatRecord> {
        match self.order {
            ChatOrder::Oldest => {}
            ChatOrder::Newest => chats.reverse(),
            ChatOrder::Recent => chats.sort_by_key(|chat| Reverse(chat.updated_at)),
        }
        let limit = self.limit.unwrap_or(usize::MAX);
        chats.into_iter().skip(self.offset).take(limit).collect()
    }
}

/// A bot's chats: the documented ids, and the same chats with their titles, times and turns.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChatsOfBot {
    /// Ids of the text chats.
    chat_ids: Vec<String>,
    /// Ids of the vision chats.
    vision_chat_ids: Vec<String>,
    /// The text chats.
    chats: Vec<ChatRecord>,
    /// The vision chats.
    vision_chats: Vec<ChatRecord>,
    /// Text chats, those of other pages included.
    total: usize,
    /// Vision chats, those of other pages included.
    vision_total: usize,
}

impl ChatsOfBot {
    pub(crate) fn new(
        query: &ChatsQuery,
        chats: Vec<ChatRecord>,
        vision_chats: Vec<ChatRecord>,
    ) -> Self {
        let (total, vision_total) = (chats.len(), vision_chats.len());
        let (chats, vision_chats) = (query.page(chats), query.page(vision_chats));
        let ids = |chats: &[ChatRecord]| chats.iter().map(|chat| chat.chat_id.clone()).collect();
        Self {
            chat_ids: ids(&chats),
            vision_chat_ids: ids(&vision_chats),
            chats,
            vision_chats,
            total,
            vision_total,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchChatsQuery {
    /// The words that a turn must have.
    pub(crate) q: String,
    /// Most turns.
    #[serde(default = "matches")]
    #[param(minimum = 1, maximum = 200)]
    limit: usize,
}

fn matches() -> usize {
    MATCHES
}

impl SearchChatsQuery {
    pub(crate) fn limit(&self) -> Result<usize, ApiError> {
        match (1..=MOST_MATCHES).contains(&self.limit) {
            true => Ok(self.limit),
            false => Err(ApiError::unprocessable(format!(
                "limit is {}, but must be from 1 to {MOST_MATCHES}",
                self.limit
            ))),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum FormatName {
    #[default]
    Jsonl,
    Markdown,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportQuery {
    /// What kind of file.
    #[serde(default)]
    #[param(inline)]
    format: FormatName,
}

impl From<ExportQuery> for ExportFormat {
    fn from(query: ExportQuery) -> Self {
        match query.format {
            FormatName::Jsonl => Self::Jsonl,
            FormatName::Markdown => Self::Markdown,
        }
    }
}
