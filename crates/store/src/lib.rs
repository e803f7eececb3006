//! The redb store: one file that holds the truth about bots, documents, chunks, vectors, chats,
//! turns and jobs. The vector index beside it is only a cache of what stands here.
//!
//! [`Store`] is the seam: the facade talks to it and never to redb, so that another database can
//! take its place for a deployment of many machines. [`RedbStore`] is the one that ships.

mod error;
mod records;
mod store;

pub use error::{Error, Result};
pub use records::{
    AddedDocuments, BotRecord, BotSettings, ChatKind, ChatRecord, ChunkRecord, ChunkSpan, Chunking,
    DocumentRecord, IndexedDocument, JobRecord, JobStatus, NewChunk, NewDocument, Order,
    SourceRecord, TurnKey, TurnRecord, TurnStatus, UploadedFile, VectorSpace, VisionTurnRecord,
};
pub use store::Store;
