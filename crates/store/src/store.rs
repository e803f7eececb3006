//! The seam between the facade and whatever keeps its records.

use crate::error::Result;
use crate::records::{
    AddedDocuments, BotRecord, ChatKind, ChatRecord, ChunkRecord, DocumentRecord, IndexedDocument,
    JobRecord, NewDocument, Order, PictureCopy, StoreFigures, TurnKey, TurnRecord, VectorSpace,
    VisionTurnRecord,
};

/// Everything the product remembers. Each call is one transaction: it happens whole or not at
/// all, and once it has returned, a crash does not undo it.
///
/// Listings come in a stable order: bots and chats by the time they were made, documents, chunks
/// and turns by id. An unknown id is an error, never an empty answer.
pub trait Store: Send + Sync {
    /// Stores a new bot. Fails if the id is taken.
    fn create_bot(&self, bot: &BotRecord) -> Result<()>;
    /// One bot.
    fn bot(&self, bot_id: &str) -> Result<BotRecord>;
    /// All bots, oldest first.
    fn bots(&self) -> Result<Vec<BotRecord>>;
    /// The bots of one tenant, oldest first.
    fn bots_of_tenant(&self, tenant: &str) -> Result<Vec<BotRecord>>;
    /// Reads a bot, lets `edit` change it, and stores it, in one transaction; `updated_at` is set
    /// by the store; `tenant`, `vectors_revision` and `vector_space` are left as they were.
    fn update_bot(&self, bot_id: &str, edit: &mut dyn FnMut(&mut BotRecord)) -> Result<BotRecord>;
    /// Deletes a bot with its documents, chunks, vectors, chats, turns, pictures and jobs.
    fn delete_bot(&self, bot_id: &str) -> Result<()>;

    /// Stores documents, leaving out those that the bot has already (same metadata and text).
    fn add_documents(&self, bot_id: &str, documents: &[NewDocument]) -> Result<AddedDocuments>;
    /// One document.
    fn document(&self, bot_id: &str, document_id: u64) -> Result<DocumentRecord>;
    /// At most `limit` documents with ids greater than `after`, in order of id.
    fn documents(
        &self,
        bot_id: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<DocumentRecord>>;
    /// Removes documents with their chunks and vectors; returns the ids of the removed chunks.
    /// If one id is unknown, nothing is removed.
    fn remove_documents(&self, bot_id: &str, document_ids: &[u64]) -> Result<Vec<u64>>;
    /// Removes documents like [`Store::remove_documents`] and stores others like
    /// [`Store::add_documents`], in one transaction.
    fn replace_documents(
        &self,
        bot_id: &str,
        document_ids: &[u64],
        documents: &[NewDocument],
    ) -> Result<AddedDocuments>;

    /// Stores the chunks and vectors of documents, replacing those they had; marks the documents
    /// searchable and raises `vectors_revision`. Returns each document's new chunk ids.
    ///
    /// `space` becomes the bot's vector space if it has none; if it has another, nothing is
    /// stored and the error names both.
    fn index_documents(
        &self,
        bot_id: &str,
        space: &VectorSpace,
        documents: &[IndexedDocument],
    ) -> Result<Vec<Vec<u64>>>;
    /// Drops every chunk and vector of a bot and forgets its vector space; its documents stay and
    /// count as not yet searchable.
    fn clear_index(&self, bot_id: &str) -> Result<()>;
    /// The chunks with these ids, in the order given.
    fn chunks(&self, bot_id: &str, chunk_ids: &[u64]) -> Result<Vec<ChunkRecord>>;
    /// Calls `visit` with every chunk id and vector of a bot, in order of id, and returns the
    /// `vectors_revision` they belong to. All come from one snapshot.
    fn visit_vectors(&self, bot_id: &str, visit: &mut dyn FnMut(u64, &[f32])) -> Result<u64>;

    /// Stores a new chat. Fails if its bot is unknown or the id is taken.
    fn create_chat(&self, chat: &ChatRecord) -> Result<()>;
    /// One chat.
    fn chat(&self, chat_id: &str) -> Result<ChatRecord>;
    /// The chats of a bot, of one kind, oldest first.
    fn chats(&self, bot_id: &str, kind: ChatKind) -> Result<Vec<ChatRecord>>;
    /// Names a chat; `None` takes the name away.
    fn rename_chat(&self, chat_id: &str, title: Option<&str>) -> Result<ChatRecord>;
    /// Deletes a chat with its turns, and the pictures that no other chat of its bot shows.
    fn delete_chat(&self, chat_id: &str) -> Result<()>;

    /// Appends a turn to a text chat, and to the index of untrained turns if it is complete, not
    /// trained, and has a question and an answer. Returns its number in the chat.
    fn append_turn(&self, chat_id: &str, turn: &TurnRecord) -> Result<u64>;
    /// Turns of a text chat, at most `limit` of them (`None`: all).
    fn turns(&self, chat_id: &str, order: Order, limit: Option<usize>) -> Result<Vec<TurnRecord>>;
    /// At most `limit` turns of a text chat from number `first` on, oldest first.
    fn turns_from(&self, chat_id: &str, first: u64, limit: usize) -> Result<Vec<TurnRecord>>;
    /// Appends a turn to a vision chat, together with those copies of its pictures that are given,
    /// and notes in the turn which are. Of a bot's pictures of the same hash one copy is kept, for
    /// as long as one of its chats shows it. Returns the turn's number in the chat.
    fn append_vision_turn(
        &self,
        chat_id: &str,
        turn: &VisionTurnRecord,
        copies: &[PictureCopy],
    ) -> Result<u64>;
    /// The bytes of a picture of which a turn of this chat has kept a copy, by its hex SHA-256.
    fn picture(&self, chat_id: &str, sha256: &str) -> Result<Vec<u8>>;
    /// Turns of a vision chat, at most `limit` of them (`None`: all).
    fn vision_turns(
        &self,
        chat_id: &str,
        order: Order,
        limit: Option<usize>,
    ) -> Result<Vec<VisionTurnRecord>>;

    /// At most `limit` turns of a vision chat from number `first` on, oldest first.
    fn vision_turns_from(
        &self,
        chat_id: &str,
        first: u64,
        limit: usize,
    ) -> Result<Vec<VisionTurnRecord>>;

    /// The turns of a bot that no training run has taken, oldest first.
    fn untrained_turns(&self, bot_id: &str) -> Result<Vec<(TurnKey, TurnRecord)>>;
    /// Adds the documents of a training run and marks the turns it took, in one transaction. If
    /// one of the turns is unknown or trained already, nothing is changed.
    fn commit_training(
        &self,
        bot_id: &str,
        turns: &[TurnKey],
        documents: &[NewDocument],
    ) -> Result<AddedDocuments>;

    /// Stores a job, new or changed. Fails if its bot is unknown.
    fn put_job(&self, job: &JobRecord) -> Result<()>;
    /// Reads a job, lets `edit` change it, and stores it, in one transaction; `updated_at` is set by
    /// the store, and whose job it is stays as it was.
    fn update_job(&self, job_id: &str, edit: &mut dyn FnMut(&mut JobRecord)) -> Result<JobRecord>;
    /// Removes a job.
    fn remove_job(&self, job_id: &str) -> Result<()>;
    /// One job.
    fn job(&self, job_id: &str) -> Result<JobRecord>;
    /// The jobs of a bot, oldest first.
    fn jobs(&self, bot_id: &str) -> Result<Vec<JobRecord>>;
    /// The jobs that work for no bot, oldest first.
    fn jobs_without_bot(&self) -> Result<Vec<JobRecord>>;

    /// How much there is in all. It takes no longer for a full store than for an empty one, and an
    /// error says that the store cannot be read.
    fn figures(&self) -> Result<StoreFigures>;
}
