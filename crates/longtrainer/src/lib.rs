//! Ask your own documents with models that run on this machine alone.
//!
//! [`LongTrainer`] is the front door: bots with documents, chats about them with streamed answers
//! and their sources, training on past chats, direct vector search. Its calls carry the documented
//! names of the LongTrainer chat API; see the methods of [`LongTrainer`].

pub mod bench;
mod bot_indexes;
mod bots;
mod build;
mod chat_export;
mod chat_search;
mod chats;
mod conversation;
mod device_index;
mod direct;
mod documents;
mod error;
mod evaluation;
mod history;
mod ids;
mod jobs;
mod keys;
mod loaded_models;
mod model_pool;
mod operation;
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
pub use chat_export::{ChatExport, ExportFormat};
pub use chat_search::{ChatMatch, ChatSearch};
pub use chats::ChatList;
pub use conversation::HistoryUse;
pub use device_index::{DeviceCopy, DeviceIndex, device_index};
pub use direct::{
    BotChat, DEFAULT_DIRECT_TOKENS, DEFAULT_TEXT_TOKENS, DirectAnswer, Embedded, EmbeddingInput,
    Grounds, ModelRequest, Prompt, UsableModel,
};
pub use documents::{
    AddReport, DirectoryReport, Document, DocumentRecord, DocumentSummary, Metadata, max_file_bytes,
};
pub use error::{Error, ErrorKind, HeldModel, Result};
pub use evaluation::{
    FollowUpEvaluation, FollowUpRecall, RetrievalEvaluation, VqaAnswer, VqaEvaluation, VqaKind,
};
pub use ids::{BotId, ChatId, VisionChatId};
pub use jobs::{IngestSource, JobTask, Upload, file_name_of};
pub use keys::{Admission, NewKey};
pub use loaded_models::LoadedModel;
pub use model_pool::{KeepAlive, MemoryBudget};
pub use operation::DefaultModel;
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

pub use longtrainer_documents::{LinkError, LinkOptions, LinkPolicy, ParseNetworkError};
pub use longtrainer_images::Error as PictureError;
pub use longtrainer_inference::Error as InferenceError;
pub use longtrainer_inference::{
    Adapter, Detail, DeviceChoice, DeviceDetails, DeviceMemory, DeviceProblem, Dry, Embedder,
    EmbedderInfo, EngineMetrics, EngineOptions, FinishReason, GenerateRequest, Generation, Grammar,
    Message, Outcome, Picture, PictureHash, Precision, RawText, RequestFigures, Role, Sampling,
    SelectedDevice, StepFigures, StreamItem, TOWER_PRECISION, Tagged, TextModel, TextModelInfo,
    TextStream, TokenChoice, TokenLogprob, TokenizedText, Tool, ToolCall, Usage, built_devices,
    select_device, with_causes,
};
pub use longtrainer_models as models;
pub use longtrainer_store::Error as StoreError;
pub use longtrainer_store::{
    ApiKey, BotRecord, BotSettings, ChatKind, ChatRecord, Chunking, JobProgress, JobRecord,
    JobStatus, KeyRecord, Order, PictureRecord, SourceRecord, StoreFigures, TurnRecord, TurnStatus,
    UploadedFile, VectorSpace, VisionTurnRecord,
};
