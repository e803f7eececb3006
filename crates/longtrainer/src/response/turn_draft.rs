//! A turn on its way into the store, in a chat of either kind.

use jiff::Timestamp;
use longtrainer_store::{
    SourceRecord, Store, TurnRecord, TurnStatus, UploadedFile, VisionTurnRecord,
};

use super::Asked;
use crate::error::{Error, Result};
use crate::ids::{ChatId, VisionChatId};
use crate::vision::ShownPictures;

/// What is known of a turn before its answer.
pub(crate) struct TurnDraft {
    place: Place,
    question: String,
    uploaded_files: Vec<UploadedFile>,
    asked_at: Timestamp,
}

/// The chat that a turn belongs in, and what only turns of its kind have.
enum Place {
    Text(ChatId),
    Vision {
        chat_id: VisionChatId,
        shown: ShownPictures,
        /// Whether copies of the pictures are kept with the turn.
        keep: bool,
    },
}

impl TurnDraft {
    /// A turn of a text chat.
    pub(super) fn text(chat_id: &ChatId, asked: &Asked) -> Self {
        Self::new(Place::Text(chat_id.clone()), asked)
    }

    /// A turn of a vision chat.
    pub(crate) fn vision(
        chat_id: &VisionChatId,
        asked: &Asked,
        shown: ShownPictures,
        keep: bool,
    ) -> Self {
        let place = Place::Vision {
            chat_id: chat_id.clone(),
            shown,
            keep,
        };
        Self::new(place, asked)
    }

    fn new(place: Place, asked: &Asked) -> Self {
        Self {
            place,
            question: asked.query.clone(),
            uploaded_files: asked.uploaded_files.clone(),
            asked_at: asked.at,
        }
    }

    /// The chat's id.
    pub(super) fn chat_id(&self) -> &str {
        match &self.place {
            Place::Text(chat_id) => chat_id.as_str(),
            Place::Vision { chat_id, .. } => chat_id.as_str(),
        }
    }

    /// Stores the failed turn; the error that ended it is what the reader must hear, so one of the
    /// store beside it is only logged.
    pub(crate) fn fail(
        &self,
        store: &dyn Store,
        text: &str,
        sources: &[SourceRecord],
        error: Error,
    ) -> Error {
        let reason = Some(error.to_string());
        if let Err(second) = self.store(store, text, sources, TurnStatus::Failed, reason) {
            let second = second.for_log();
            tracing::error!(
                chat_id = self.chat_id(),
                error = second,
                "failed turn not stored"
            );
        }
        error
    }

    /// Stores the turn; returns its number in the chat.
    pub(super) fn store(
        &self,
        store: &dyn Store,
        text: &str,
        sources: &[SourceRecord],
        status: TurnStatus,
        error: Option<String>,
    ) -> Result<u64> {
        let number = match &self.place {
            Place::Text(chat_id) => {
                let turn = TurnRecord {
                    turn: 0,
                    timestamp: self.asked_at,
                    question: self.question.clone(),
                    answer: text.to_owned(),
                    sources: sources.to_vec(),
                    web_sources: Vec::new(),
                    uploaded_files: self.uploaded_files.clone(),
                    trained: false,
                    status,
                    error,
                };
                store.append_turn(chat_id.as_str(), &turn)?
            }
            Place::Vision {
                chat_id,
                shown,
                keep,
            } => {
                let turn = VisionTurnRecord {
                    turn: 0,
                    timestamp: self.asked_at,
                    question: self.question.clone(),
                    response: text.to_owned(),
                    image_paths: shown.names(),
                    pictures: shown.records(),
                    sources: sources.to_vec(),
                    web_sources: Vec::new(),
                    uploaded_files: self.uploaded_files.clone(),
                    trained: false,
                    status,
                    error,
                };
                let copies = match keep {
                    true => shown.copies(),
                    false => Vec::new(),
                };
                store.append_vision_turn(chat_id.as_str(), &turn, &copies)?
            }
        };
        Ok(number)
    }
}
