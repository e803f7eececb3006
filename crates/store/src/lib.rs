//! The redb store: one file that holds the truth about bots, documents, chunks, vectors, chats,
//! turns, pictures, jobs and API keys. The vector index beside it is only a cache of what stands here.
//!
//! [`Store`] is the seam: the facade talks to it and never to redb, so that another database can
//! take its place for a deployment of many machines. [`TenantStore`] is what one tenant sees of it. [`RedbStore`] is the one that ships; the
//! bytes it writes are described in `docs/store-format.md`.

mod api_key;
mod bots;
mod chats;
mod chunks;
mod codec;
mod connection;
mod document_hash;
mod documents;
mod error;
mod figures;
mod folder;
mod ids;
mod jobs;
mod key_store;
mod keys;
mod migration;
mod pictures;
mod records;
mod redb_store;
mod staged_backend;
mod store;
mod tables;
mod tenant_store;
mod training;
mod transaction;
mod turns;

pub use api_key::{ApiKey, KeyHash};
pub use error::{Error, Result, VectorFault};
pub use key_store::{KeyRecord, KeyStore, StoredKey};
pub use records::{
    AddedDocuments, BotRecord, BotSettings, ChatKind, ChatRecord, ChunkRecord, ChunkSpan, Chunking,
    DocumentRecord, IndexedDocument, JobProgress, JobRecord, JobStatus, NewChunk, NewDocument,
    Order, PictureCopy, PictureRecord, SourceRecord, StoreFigures, TurnKey, TurnRecord, TurnStatus,
    UploadedFile, VectorSpace, VisionTurnRecord,
};
pub use redb_store::RedbStore;
pub use store::Store;
pub use tenant_store::TenantStore;
