//! Ask your own documents with models that run on this machine alone.
//!
//! [`LongTrainer`] is the front door: bots with documents, chats about them with streamed answers
//! and their sources, training on past chats, direct vector search. Its calls carry the documented
//! names of the LongTrainer chat API; see the methods of [`LongTrainer`].

pub mod bench;
mod bot_indexes;
mod bots;
mod build;
mod chats;
mod conversation;
mod documents;
mod error;
mod evaluation;
mod history;
mod ids;
mod jobs;
mod keys;
mod loaded_models;
mod model_pool;
mod passages;
mod prompt;
mod question;
mod response;
mod retrieval;
mod settings;
mod tenants;
mod trainer;
mod training;
mod vision;
mod vision_parts;

pub use bots::{BotOptions, BotUpdate, UpdateReport};
pub use build::{BuildProgress, BuildReport};
pub use chats::ChatList;
pub use conversation::HistoryUse;
pub use documents::{AddReport, DirectoryReport, Document, DocumentSummary, Metadata};
pub use error::{Error, ErrorKind, HeldModel, Result};
pub use evaluation::{
    FollowUpEvaluation, FollowUpRecall, RetrievalEvaluation, VqaAnswer, VqaEvaluation, VqaKind,
};
pub use ids::{BotId, ChatId, VisionChatId};
pub use keys::{Admission, NewKey};
pub use loaded_models::LoadedModel;
pub use model_pool::{KeepAlive, MemoryBudget};
pub use prompt::{DEFAULT_PROMPT_TEMPLATE, PromptTemplate};
pub use response::{Answer, Chunk, ResponseOptions, ResponseStream};
pub use retrieval::{Retrieval, RetrievalUse, RetrievedDocument};
pub use settings::{
    DEFAULT_CHUNKING, DEFAULT_MAX_ANSWER_TOKENS, DEFAULT_MAX_PICTURES, DEFAULT_MAX_TOKEN_LIMIT,
    DEFAULT_NUM_K, Defaults,
};
pub use tenants::TenantId;
pub use trainer::{Builder, LongTrainer};
pub use training::TrainReport;
pub use vision::{ImageInput, MissingPicture};
pub use vision_parts::VisionParts;

pub use longtrainer_images::Error as PictureError;
pub use longtrainer_inference::{
    Detail, DeviceChoice, Dry, Embedder, EmbedderInfo, EngineMetrics, EngineOptions, FinishReason,
    GenerateRequest, Generation, Grammar, Message, Outcome, Picture, PictureHash, Precision,
    RequestFigures, Role, Sampling, StepFigures, StreamItem, TOWER_PRECISION, TextModel,
    TextModelInfo, TextStream, TokenChoice, TokenLogprob, Usage,
};
pub use longtrainer_models as models;
pub use longtrainer_store::{
    ApiKey, BotRecord, BotSettings, ChatKind, ChatRecord, Chunking, JobRecord, JobStatus,
    KeyRecord, Order, PictureRecord, SourceRecord, TurnRecord, TurnStatus, UploadedFile,
    VectorSpace, VisionTurnRecord,
};
