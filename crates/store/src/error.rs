//! What can go wrong with the store.
//!
//! [`Error`] is the one type that leaves the crate. Inside a transaction the code works with
//! [`Failure`], which also holds what redb reports; the connection, which knows the path of the
//! file, turns one into the other at its edge, so that every error names the file it is about.

use std::path::{Path, PathBuf};

use crate::records::ChatKind;

/// The result of every call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The cause of an error whose type differs from case to case.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No bot has this id.
    #[error("no bot has the id {bot_id:?}")]
    BotNotFound {
        /// The id asked for.
        bot_id: String,
    },
    /// No chat has this id.
    #[error("no chat has the id {chat_id:?}")]
    ChatNotFound {
        /// The id asked for.
        chat_id: String,
    },
    /// The bot has no document with this id.
    #[error("bot {bot_id:?} has no document {document_id}")]
    DocumentNotFound {
        /// The bot.
        bot_id: String,
        /// The id asked for.
        document_id: u64,
    },
    /// The bot has no chunk with this id.
    #[error("bot {bot_id:?} has no chunk {chunk_id}")]
    ChunkNotFound {
        /// The bot.
        bot_id: String,
        /// The id asked for.
        chunk_id: u64,
    },
    /// The bot has no such turn in a text chat.
    #[error("bot {bot_id:?} has no turn {turn} in a text chat {chat_id:?}")]
    TurnNotFound {
        /// The bot.
        bot_id: String,
        /// The chat named.
        chat_id: String,
        /// The turn named.
        turn: u64,
    },
    /// No turn of the chat has kept such a picture.
    #[error("chat {chat_id:?} has kept no picture with the SHA-256 {sha256}")]
    PictureNotFound {
        /// The chat.
        chat_id: String,
        /// The hash asked for, in hexadecimal digits.
        sha256: String,
    },
    /// A training run has taken the turn before.
    #[error("turn {turn} of chat {chat_id:?} has been trained on already")]
    TurnAlreadyTrained {
        /// The chat.
        chat_id: String,
        /// The turn.
        turn: u64,
    },
    /// The turn was cancelled or failed, or has no question or no answer.
    #[error(
        "turn {turn} of chat {chat_id:?} cannot be trained on: it is not complete, or has no \
         question or no answer"
    )]
    TurnNotTrainable {
        /// The chat.
        chat_id: String,
        /// The turn.
        turn: u64,
    },
    /// No job has this id.
    #[error("no job has the id {job_id:?}")]
    JobNotFound {
        /// The id asked for.
        job_id: String,
    },
    /// The view of a tenant was asked for what belongs to no bot.
    #[error("{what} is for the owner of the store, not for a tenant")]
    OwnerOnly {
        /// What was asked for.
        what: &'static str,
    },
    /// No API key has this id.
    #[error("no key has the id {key_id:?}")]
    KeyNotFound {
        /// The id asked for.
        key_id: String,
    },
    /// The system has no random numbers, so no key can be made.
    #[error("the system gives no random numbers")]
    NoRandomness {
        /// Why not.
        source: getrandom::Error,
    },
    /// The id of a new bot, chat or key is taken.
    #[error("a {kind} with the id {id:?} exists already")]
    AlreadyExists {
        /// `bot`, `chat` or `key`.
        kind: &'static str,
        /// The id that is taken.
        id: String,
    },
    /// A call for text chats was given a vision chat, or the other way round.
    #[error("chat {chat_id:?} is a {found} chat, not a {expected} chat")]
    WrongChatKind {
        /// The chat.
        chat_id: String,
        /// What the call works on.
        expected: ChatKind,
        /// What the chat is.
        found: ChatKind,
    },
    /// The id of a new bot, chat, job, key or tenant is empty or too long.
    #[error("the {kind} id {begins:?}... has {length} bytes; an id must have 1 to 256")]
    InvalidId {
        /// `bot`, `chat`, `job`, `key` or `tenant`.
        kind: &'static str,
        /// The first 64 characters of the id.
        begins: String,
        /// Its length in bytes.
        length: usize,
    },
    /// Metadata nested so deeply that it could not be read back.
    #[error("the metadata of the document from {source_name} is nested deeper than {limit} levels")]
    InvalidMetadata {
        /// The `source` of the metadata.
        source_name: String,
        /// Most levels of arrays and objects in metadata.
        limit: usize,
    },
    /// A vector cannot be stored: it has the wrong length, or a component that is no number.
    #[error("the vector of chunk {chunk} of document {document_id} cannot be stored: {reason}")]
    InvalidVector {
        /// The document.
        document_id: u64,
        /// Place of the chunk among the document's chunks, from 0.
        chunk: usize,
        /// What is wrong with it.
        reason: VectorFault,
    },
    /// The score of a turn's source is NaN or infinite, which JSON cannot express.
    #[error("the source chunk {chunk_id} of a turn for chat {chat_id:?} has the score {score}")]
    InvalidScore {
        /// The chat that the turn is for.
        chat_id: String,
        /// The chunk that the source names.
        chunk_id: u64,
        /// Its score.
        score: f32,
    },
    /// The bot's vectors come from another embedding model than those offered.
    #[error(
        "the vectors of bot {bot_id:?} were made by {} ({} components, sha256 {}), those given by \
         {} ({} components, sha256 {}); run `reindex` to embed its documents anew",
        stored.model, stored.dimension, stored.sha256, given.model, given.dimension, given.sha256
    )]
    VectorSpaceMismatch {
        /// The bot.
        bot_id: String,
        /// The space of the vectors it has.
        stored: Box<crate::VectorSpace>,
        /// The space of the vectors offered.
        given: Box<crate::VectorSpace>,
    },
    /// Another process, or another [`RedbStore`](crate::RedbStore) of this one, has the file open.
    #[error("the store {} is in use by another process", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a store, or is damaged. It has been left as it is.
    #[error("{} is not a Longtrainer store, or is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        #[source]
        source: Cause,
    },
    /// One record cannot be decoded.
    #[error("the record {key} of table {table:?} is damaged")]
    DamagedRecord {
        /// The table.
        table: &'static str,
        /// Its key, as text.
        key: String,
        /// Why it cannot be decoded.
        #[source]
        source: Cause,
    },
    /// A newer version of the program wrote the file. It has been left as it is.
    #[error(
        "the store {} has schema {found}; this version reads up to schema {supported}, so a newer \
         one is needed",
        path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u64,
        /// The newest schema that this version reads.
        supported: u64,
    },
    /// An older file could not be brought to the present schema; it holds what it held before.
    #[error("the store {} could not be migrated from schema {from} to {to}", path.display())]
    Migration {
        /// The file.
        path: PathBuf,
        /// Its schema.
        from: u64,
        /// The schema it was to have.
        to: u64,
        /// What went wrong.
        #[source]
        source: Cause,
    },
    /// The file, or one beside it, could not be read or written: a full disk, for one.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system reported.
        #[source]
        source: std::io::Error,
    },
    /// The database failed for a reason other than the ones above.
    #[error("the database of the store {} failed", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What redb reported.
        #[source]
        source: Box<redb::Error>,
    },
}

impl Error {
    /// An error of the file system about `path`.
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// The file at `path` is not what it should be.
    pub(crate) fn damaged(path: &Path, source: impl Into<Cause>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            source: source.into(),
        }
    }

    /// What redb reported about the file at `path`.
    pub(crate) fn redb(path: &Path, source: redb::Error) -> Self {
        use std::io::ErrorKind::{InvalidData, UnexpectedEof};
        match source {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::InUse {
                path: path.to_owned(),
            },
            // A file of another kind, and one that ends too early.
            redb::Error::Io(error) if matches!(error.kind(), InvalidData | UnexpectedEof) => {
                Self::damaged(path, error)
            }
            redb::Error::Io(error) => Self::io(path, error),
            redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TypeDefinitionChanged { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TableDoesNotExist(_) => Self::damaged(path, source),
            other => Self::Database {
                path: path.to_owned(),
                source: Box::new(other),
            },
        }
    }
}

/// What is wrong with a vector.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorFault {
    /// It has not the length of its space.
    #[error("it has {found} components, its space has {expected}")]
    Dimension {
        /// Components of the space.
        expected: usize,
        /// Components of the vector.
        found: usize,
    },
    /// A component is NaN or infinite.
    #[error("component {component} is {value}")]
    NotFinite {
        /// Its place, from 0.
        component: usize,
        /// Its value.
        value: f32,
    },
}

impl std::fmt::Display for ChatKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Vision => "vision",
        })
    }
}

/// What can go wrong inside a transaction: an error of ours, or one of redb's, not yet tied to a
/// path.
#[derive(Debug)]
pub(crate) enum Failure {
    Store(Error),
    Redb(redb::Error),
}

impl Failure {
    /// The error that leaves the crate.
    pub(crate) fn at(self, path: &Path) -> Error {
        match self {
            Self::Store(error) => error,
            Self::Redb(error) => Error::redb(path, error),
        }
    }

    /// Whether the open database can be used no more: redb refuses everything after an I/O error
    /// until the file is opened anew.
    pub(crate) fn breaks_connection(&self) -> bool {
        matches!(
            self,
            Self::Redb(
                redb::Error::Io(_)
                    | redb::Error::PreviousIo
                    | redb::Error::DatabaseClosed
                    | redb::Error::Corrupted(_)
                    | redb::Error::LockPoisoned(_)
            )
        )
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// Lets `?` take every error type of redb.
macro_rules! failure_from_redb {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Redb(error.into())
            }
        })*
    };
}

failure_from_redb!(
    redb::CommitError,
    redb::DatabaseError,
    redb::StorageError,
    redb::TableError,
    redb::TransactionError
);
