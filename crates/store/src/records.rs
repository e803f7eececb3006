//! The records that the store keeps, as plain data. Field names are the documented ones wherever
//! the documented system has the field, so that they can be served as they are.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A bot: a set of documents, the settings it answers with, and the state of its vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BotRecord {
    /// `bot-<uuid4>`.
    pub bot_id: String,
    /// The tenant that it belongs to; `None` if it belongs to the owner of the store alone. It never
    /// changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// When the id was made.
    pub created_at: Timestamp,
    /// When the record last changed.
    pub updated_at: Timestamp,
    /// What its owner chose; everything left out follows the defaults of the program.
    pub settings: BotSettings,
    /// When the bot was last built (documents split, embedded and searchable); `None` before.
    pub built_at: Option<Timestamp>,
    /// The embedding model that made the bot's vectors; `None` while it has none.
    pub vector_space: Option<VectorSpace>,
    /// Grows by one with every commit that changes the bot's vectors; the index file carries the
    /// revision it was made from, so that a stale file is noticed.
    pub vectors_revision: u64,
}

/// What the owner of a bot chose. `None` means "the program's default".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct BotSettings {
    /// System prompt with a `{context}` placeholder.
    pub prompt_template: Option<String>,
    /// Passages per retrieval.
    pub num_k: Option<usize>,
    /// Whether a question is also searched for in other words.
    pub ensemble: Option<bool>,
    /// How the bot's documents are split.
    pub chunking: Option<Chunking>,
    /// Registry name or path of the text model.
    pub text_model: Option<String>,
    /// Registry name or path of the embedding model.
    pub embedding_model: Option<String>,
    /// Registry name or path of the vision model.
    pub vision_model: Option<String>,
    /// Whether copies of the pictures of vision chats are kept.
    pub keep_pictures: Option<bool>,
}

/// How a text is split, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Chunking {
    /// Most characters in one chunk.
    pub chunk_size: usize,
    /// Characters that neighbouring chunks share.
    pub chunk_overlap: usize,
}

/// The space in which vectors can be compared: one model, one dimension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VectorSpace {
    /// Name of the embedding model.
    pub model: String,
    /// Components of a vector.
    pub dimension: usize,
    /// Hex SHA-256 of the model's weights.
    pub sha256: String,
}

/// A document about to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDocument {
    /// The text.
    pub page_content: String,
    /// Always has `source`; PDF adds `page`, CSV adds `row`.
    pub metadata: Map<String, Value>,
}

/// A stored document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DocumentRecord {
    /// Grows with every document of the store; never used twice.
    pub document_id: u64,
    /// The bot that owns it.
    pub bot_id: String,
    /// The text.
    pub page_content: String,
    /// Always has `source`; PDF adds `page`, CSV adds `row`.
    pub metadata: Map<String, Value>,
    /// Hex SHA-256 over metadata and text: the same text from another file is another document.
    pub doc_hash: String,
    /// When it was added.
    pub added_at: Timestamp,
    /// Its chunks, once it has been split and embedded; `None` while it is not yet searchable.
    pub chunks: Option<ChunkSpan>,
}

/// The chunks of one document: ids `first .. first + count`, made with `chunking`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkSpan {
    /// Id of the first chunk.
    pub first: u64,
    /// Number of chunks; zero for a document without text.
    pub count: u64,
    /// How the document was split.
    pub chunking: Chunking,
}

/// What [`Store::add_documents`](crate::Store::add_documents) did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddedDocuments {
    /// Ids of the documents that were new, in the order given.
    pub added: Vec<u64>,
    /// How many were there already (same metadata and text).
    pub already_there: usize,
}

/// One piece of a document, about to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewChunk {
    /// The text.
    pub text: String,
    /// Where it begins in the document, in characters.
    pub start: usize,
    /// Its embedding.
    pub vector: Vec<f32>,
}

/// A document with the chunks that make it searchable.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexedDocument {
    /// The document.
    pub document_id: u64,
    /// How it was split.
    pub chunking: Chunking,
    /// Its pieces, in order.
    pub chunks: Vec<NewChunk>,
}

/// One stored piece of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChunkRecord {
    /// Grows with every chunk of the store; never used twice. The id of its vector, too.
    pub chunk_id: u64,
    /// The document it was cut from.
    pub document_id: u64,
    /// Its place among the document's chunks, from 0.
    pub ordinal: u64,
    /// Where it begins in the document, in characters.
    pub start: usize,
    /// The text.
    pub text: String,
}

/// Whether a chat takes pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    /// `chat-<uuid4>`: text only.
    Text,
    /// `vision-<uuid4>`: text and pictures.
    Vision,
}

/// A chat, stored from the moment it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChatRecord {
    /// `chat-<uuid4>` or `vision-<uuid4>`.
    pub chat_id: String,
    /// The bot that answers in it.
    pub bot_id: String,
    /// Text or vision.
    pub kind: ChatKind,
    /// A name its owner gave it.
    pub title: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its last turn was stored, or the chat was renamed.
    pub updated_at: Timestamp,
    /// Number of stored turns.
    pub turns: u64,
}

/// How a turn ended. Only complete turns are ever trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TurnStatus {
    /// The answer is whole.
    Complete,
    /// The reader left before the end; the answer is what had been made by then.
    Cancelled,
    /// An error ended it; see the turn's `error`.
    Failed,
}

/// A file whose text the caller sends along with a question. No file is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UploadedFile {
    /// File name.
    pub name: String,
    /// Kind of file, as the caller calls it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it came from.
    #[serde(default)]
    pub url: Option<String>,
    /// The text in it.
    #[serde(default)]
    pub extracted_text: Option<String>,
}

/// A passage that an answer was given from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourceRecord {
    /// The document.
    pub document_id: u64,
    /// The chunk.
    pub chunk_id: u64,
    /// The `source` of the document's metadata: usually its path.
    pub source: String,
    /// Page of a PDF, as the document's metadata has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u64>,
    /// Row of a CSV file, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// Similarity to the question: greater is nearer.
    pub score: f32,
}

/// One question and answer of a text chat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TurnRecord {
    /// Its place in the chat, from 0; the store sets it.
    pub turn: u64,
    /// When the question came (UTC).
    pub timestamp: Timestamp,
    /// What the person asked, as typed.
    pub question: String,
    /// What the model answered.
    pub answer: String,
    /// The passages the model was given.
    pub sources: Vec<SourceRecord>,
    /// Links from a web search.
    pub web_sources: Vec<String>,
    /// Files sent along with the question.
    pub uploaded_files: Vec<UploadedFile>,
    /// Whether `train_chats` has taken it.
    pub trained: bool,
    /// How it ended.
    pub status: TurnStatus,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A picture sent with a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PictureRecord {
    /// What it was called: the path as it was given, or a name.
    pub name: String,
    /// The absolute path of its file; `None` if it came as bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Hex SHA-256 of its bytes.
    pub sha256: String,
    /// Number of its bytes.
    pub size: u64,
    /// What its bytes are, `image/png` for one; `None` if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Whether the store has a copy of its bytes; the store sets it.
    pub kept: bool,
}

/// The bytes of a picture, to be kept with its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureCopy {
    /// SHA-256 of the bytes, by which the turn's [`PictureRecord`] names it.
    pub sha256: [u8; 32],
    /// The file as it came.
    pub bytes: Arc<[u8]>,
}

/// One question and response of a vision chat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VisionTurnRecord {
    /// Its place in the chat, from 0; the store sets it.
    pub turn: u64,
    /// When the question came (UTC).
    pub timestamp: Timestamp,
    /// What the person asked, as typed.
    pub question: String,
    /// What the model answered.
    pub response: String,
    /// The pictures sent with the question, as they were called.
    pub image_paths: Vec<String>,
    /// The same with hashes and kinds; those of a failed turn may be missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<PictureRecord>,
    /// The passages the model was given.
    pub sources: Vec<SourceRecord>,
    /// Links from a web search.
    pub web_sources: Vec<String>,
    /// Files sent along with the question.
    pub uploaded_files: Vec<UploadedFile>,
    /// Always false: vision turns are left out of training.
    pub trained: bool,
    /// How it ended.
    pub status: TurnStatus,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Names one turn of one chat.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TurnKey {
    /// The chat.
    pub chat_id: String,
    /// Its place in the chat, from 0.
    pub turn: u64,
}

/// How much a store holds: all of it, whoever it belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreFigures {
    /// Bots.
    pub bots: u64,
    /// Documents.
    pub documents: u64,
    /// Chunks of documents that are searchable.
    pub chunks: u64,
    /// Chats of both kinds.
    pub chats: u64,
    /// Turns of both kinds of chats.
    pub turns: u64,
    /// Copies of pictures.
    pub pictures: u64,
    /// Jobs, done ones included.
    pub jobs: u64,
    /// Bytes of the data file.
    pub file_bytes: u64,
}

/// Which end of a chat comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Newest turn first: the documented default.
    #[default]
    Newest,
    /// Oldest turn first.
    Oldest,
}

/// How far a job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Waiting.
    Pending,
    /// At work.
    Processing,
    /// Done.
    Success,
    /// Ended by an error; see the job's `error`.
    Failed,
    /// Ended because somebody asked for it; what it had done by then stays.
    Cancelled,
}

impl JobStatus {
    /// Whether nothing will happen to the job any more.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Cancelled)
    }
}

/// How much of a job is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobProgress {
    /// What is being done just now, `embedding` for one.
    pub phase: String,
    /// How much of the phase is done, in its own unit: files, documents, bytes.
    pub done: u64,
    /// How much there is to do; `None` if nobody knows.
    pub total: Option<u64>,
}

/// A long piece of work that a server does in the background.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobRecord {
    /// uuid4.
    pub job_id: String,
    /// The bot it works for, with which it ends; `None` if it works for none.
    pub bot_id: Option<String>,
    /// Kind of work, `document_ingest` for one.
    #[serde(rename = "type")]
    pub kind: String,
    /// How far it has come.
    pub status: JobStatus,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Why it failed.
    pub error: Option<String>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// How much of it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<JobProgress>,
    /// What it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// What it has to do, in the words of whoever does it: a restart goes on from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Value>,
    /// How often it has been begun.
    #[serde(default)]
    pub attempts: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_stored_before_a_setting_was_there_are_read() {
        let stored = r#"{"prompt_template":null,"num_k":4,"chunking":null,"text_model":null,
                         "embedding_model":null}"#;
        let settings: BotSettings = serde_json::from_str(stored).unwrap();
        assert_eq!((settings.num_k, settings.ensemble), (Some(4), None));
    }

    #[test]
    fn a_job_stored_before_jobs_had_progress_is_read() {
        let stored = r#"{"job_id":"j","bot_id":"bot-a","type":"document_ingest","status":"pending",
                         "created_at":"2026-01-01T00:00:00Z","error":null,
                         "updated_at":"2026-01-01T00:00:00Z"}"#;
        let job: JobRecord = serde_json::from_str(stored).unwrap();
        assert_eq!(job.bot_id.as_deref(), Some("bot-a"));
        assert_eq!((job.progress, job.task, job.attempts), (None, None, 0));
    }
}
