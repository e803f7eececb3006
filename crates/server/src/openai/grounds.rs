//! What a bot's answer is grounded on, as fields beside OpenAI's.

use longtrainer::{Grounds, HistoryUse, RetrievalUse};
use serde::Serialize;

use crate::types::{Passage, passages};

/// `sources`: the passages, best first; `retrieval` and `history` as the documented routes have them.
#[derive(Serialize)]
pub(super) struct GroundFields {
    sources: Vec<Passage>,
    retrieval: RetrievalUse,
    history: HistoryUse,
}

impl From<Grounds> for GroundFields {
    fn from(grounds: Grounds) -> Self {
        Self {
            sources: passages(grounds.retrieval.documents),
            retrieval: grounds.retrieval.retrieval,
            history: grounds.history,
        }
    }
}
