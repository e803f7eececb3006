//! The JSON bodies of questions about pictures and of their answers.

use std::path::{Path, PathBuf};

use longtrainer::{
    Answer, Detail, HistoryUse, ImageInput, MissingPicture, ResponseOptions, RetrievalUse,
    VisionTurnRecord,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::allowed_path::allowed_path;
use crate::api_error::ApiError;
use crate::types::{
    Passage, SentFile, UsageBody, check_web_search, finish_reason, is_default, passages, sent_files,
};

/// How closely pictures are looked at.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum DetailName {
    Low,
    Auto,
    High,
}

impl From<DetailName> for Detail {
    fn from(name: DetailName) -> Self {
        match name {
            DetailName::Low => Self::Low,
            DetailName::Auto => Self::Auto,
            DetailName::High => Self::High,
        }
    }
}

/// A question about pictures.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VisionQuestion {
    /// The question.
    #[schema(example = "What stands on the rock?")]
    pub(crate) query: String,
    /// Paths on this machine, or data URLs. None, to go on about the pictures of the chat.
    pub(crate) image_paths: Vec<String>,
    /// Whether the answer comes as chunks of plain text.
    #[serde(default)]
    pub(crate) stream: bool,
    /// How closely the pictures are looked at.
    detail: Option<DetailName>,
    /// Not in this version: `true` is answered with 501.
    #[serde(default)]
    web_search: bool,
    /// Files whose texts the answer may draw on.
    uploaded_files: Option<Vec<SentFile>>,
}

impl VisionQuestion {
    /// Refuses what cannot be honoured.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        check_web_search(self.web_search)
    }

    /// The question, its pictures and how it is to be answered. Only files of the allowed directories
    /// are pictures.
    pub(crate) fn into_parts(
        self,
        allow_dirs: &[PathBuf],
    ) -> Result<(String, Vec<ImageInput>, ResponseOptions), ApiError> {
        let images = self.image_paths.into_iter();
        let images = images.map(|text| allowed_image(allow_dirs, text));
        let options = ResponseOptions {
            uploaded_files: sent_files(self.uploaded_files),
            detail: self.detail.map(Detail::from),
            ..ResponseOptions::default()
        };
        Ok((self.query, images.collect::<Result<_, _>>()?, options))
    }
}

/// The picture of a path, if it may be read, or of a data URL. An address on the network is left to
/// the facade, which fetches nothing and says so.
fn allowed_image(allow_dirs: &[PathBuf], text: String) -> Result<ImageInput, ApiError> {
    match ImageInput::from(text) {
        ImageInput::Path(path) if !is_remote(&path) => {
            allowed_path(allow_dirs, &path).map(ImageInput::Path)
        }
        other => Ok(other),
    }
}

fn is_remote(path: &Path) -> bool {
    let text = path.to_string_lossy();
    ["http://", "https://"].iter().any(|scheme| {
        let start = text.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// A stored vision turn with the documented ids and `image_path`, the paths joined by commas.
#[derive(Serialize, ToSchema)]
pub(crate) struct VisionMessage {
    /// The bot.
    pub(crate) bot_id: String,
    /// The vision chat.
    pub(crate) vision_chat_id: String,
    /// The pictures of the turn, joined by commas.
    pub(crate) image_path: String,
    #[serde(flatten)]
    pub(crate) turn: VisionTurnRecord,
}

/// A whole answer about pictures, under its documented name.
#[derive(Serialize, ToSchema)]
pub(crate) struct VisionAnswerBody {
    /// The answer.
    response: String,
    /// Links from a web search.
    web_sources: Vec<String>,
    /// The passages that the model was given, best first.
    sources: Vec<Passage>,
    /// What was searched for beside the question.
    retrieval: RetrievalUse,
    /// What the answer cost.
    usage: UsageBody,
    /// What the model saw of the chat.
    history: HistoryUse,
    /// Earlier pictures that are not to be had any more.
    #[serde(skip_serializing_if = "is_default")]
    missing_pictures: Vec<MissingPicture>,
    /// Why the answer ends: `stop`, or `length` if it was cut off.
    #[schema(example = "stop")]
    finish_reason: &'static str,
    /// Its place in the chat, from 0.
    turn: u64,
}

impl From<Answer> for VisionAnswerBody {
    fn from(answer: Answer) -> Self {
        Self {
            response: answer.text,
            web_sources: answer.web_sources,
            sources: passages(answer.sources),
            retrieval: answer.retrieval,
            usage: answer.usage.into(),
            history: answer.history,
            missing_pictures: answer.missing_pictures,
            finish_reason: finish_reason(answer.finish_reason),
            turn: answer.turn,
        }
    }
}
