//! The tables of the file: their names, keys and values. `docs/store-format.md` describes every
//! key and value byte by byte, and why each table exists.
//!
//! Keys are redb tuples. redb compares them element by element and knows where each ends, so an
//! id can hold any character and still never run into its neighbour's range.

use std::marker::PhantomData;

use redb::{Key, TableDefinition};

use crate::codec::{PictureBytes, Vector};
use crate::key_store::StoredKey;
use crate::records::{
    BotRecord, ChatRecord, ChunkRecord, ChunkSpan, DocumentRecord, JobRecord, TurnRecord,
    VisionTurnRecord,
};

/// A table whose values are records, encoded by the [`codec`](crate::codec).
pub(crate) struct RecordTable<K, T> {
    pub(crate) name: &'static str,
    types: PhantomData<fn() -> (K, T)>,
}

impl<K: Key + 'static, T> RecordTable<K, T> {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            types: PhantomData,
        }
    }

    pub(crate) fn definition(&self) -> TableDefinition<'static, K, &'static [u8]> {
        TableDefinition::new(self.name)
    }
}

/// A table that only orders keys; the records stand elsewhere.
pub(crate) type IndexTable<K> = TableDefinition<'static, K, ()>;

/// Nanoseconds since the Unix epoch.
pub(crate) type Nanoseconds = i128;

/// SHA-256 of a document or of the bytes of a picture.
pub(crate) type Hash = [u8; 32];

/// Facts about the file itself.
pub(crate) const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
/// The key of the schema number in [`META`].
pub(crate) const SCHEMA_KEY: &str = "schema";

/// Next free id, by the kind of id.
pub(crate) const SEQUENCES: RecordTable<&str, u64> = RecordTable::new("sequences");

/// Bots, by id.
pub(crate) const BOTS: RecordTable<&str, BotRecord> = RecordTable::new("bots");
/// Bots, by the time they were made: (created, bot).
pub(crate) const BOTS_BY_CREATION: IndexTable<(Nanoseconds, &str)> =
    IndexTable::new("bots_by_creation");
/// Bots that have a tenant: (tenant, created, bot).
pub(crate) const BOTS_BY_TENANT: IndexTable<(&str, Nanoseconds, &str)> =
    IndexTable::new("bots_by_tenant");

/// API keys, by id.
pub(crate) const KEYS: RecordTable<&str, StoredKey> = RecordTable::new("keys");

/// Documents without their `chunks`: (bot, document).
pub(crate) const DOCUMENTS: RecordTable<(&str, u64), DocumentRecord> =
    RecordTable::new("documents");
/// Ids of documents: (bot, hash).
pub(crate) const DOCUMENT_HASHES: RecordTable<(&str, &Hash), u64> =
    RecordTable::new("document_hashes");
/// The `chunks` of searchable documents: (bot, document).
pub(crate) const DOCUMENT_CHUNKS: RecordTable<(&str, u64), ChunkSpan> =
    RecordTable::new("document_chunks");
/// Chunks: (bot, chunk).
pub(crate) const CHUNKS: RecordTable<(&str, u64), ChunkRecord> = RecordTable::new("chunks");
/// Embeddings: (bot, chunk).
pub(crate) const VECTORS: RecordTable<(&str, u64), Vector> = RecordTable::new("vectors");

/// Chats of both kinds, by id.
pub(crate) const CHATS: RecordTable<&str, ChatRecord> = RecordTable::new("chats");
/// Chats, by bot, kind and the time they were made: (bot, kind, created, chat).
pub(crate) const CHATS_BY_BOT: IndexTable<(&str, u8, Nanoseconds, &str)> =
    IndexTable::new("chats_by_bot");
/// Turns of text chats: (chat, turn).
pub(crate) const TURNS: RecordTable<(&str, u64), TurnRecord> = RecordTable::new("turns");
/// Turns of vision chats: (chat, turn).
pub(crate) const VISION_TURNS: RecordTable<(&str, u64), VisionTurnRecord> =
    RecordTable::new("vision_turns");
/// Copies of pictures: (bot, hash).
pub(crate) const PICTURES: RecordTable<(&str, &Hash), PictureBytes> = RecordTable::new("pictures");
/// The pictures that the turns of a chat keep: (chat, hash).
pub(crate) const PICTURES_OF_CHATS: IndexTable<(&str, &Hash)> =
    IndexTable::new("pictures_of_chats");
/// The chats that need a picture: (bot, hash, chat).
pub(crate) const CHATS_OF_PICTURES: IndexTable<(&str, &Hash, &str)> =
    IndexTable::new("chats_of_pictures");
/// Turns that a training run may take: (bot, asked, chat, turn).
pub(crate) const UNTRAINED: IndexTable<(&str, Nanoseconds, &str, u64)> =
    IndexTable::new("untrained");

/// Jobs, by id.
pub(crate) const JOBS: RecordTable<&str, JobRecord> = RecordTable::new("jobs");
/// Jobs, by bot and the time they were asked for: (bot, created, job).
pub(crate) const JOBS_BY_BOT: IndexTable<(&str, Nanoseconds, &str)> =
    IndexTable::new("jobs_by_bot");
