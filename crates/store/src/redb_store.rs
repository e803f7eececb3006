//! [`RedbStore`]: the [`Store`] in one redb file.
//!
//! Each method of the trait is one line that names the transaction it runs in; what it does in
//! there stands in the module of its records (`bots`, `documents`, `chunks`, ...).

use std::path::Path;

use jiff::Timestamp;

use crate::connection::{self, Connection, OpenBackend};
use crate::error::{Error, Result};
use crate::key_store::{KeyRecord, KeyStore, StoredKey};
use crate::migration::{self, PRESENT, Schema};
use crate::records::{
    AddedDocuments, BotRecord, ChatKind, ChatRecord, ChunkRecord, DocumentRecord, IndexedDocument,
    JobRecord, NewDocument, Order, PictureCopy, StoreFigures, TurnKey, TurnRecord, VectorSpace,
    VisionTurnRecord,
};
use crate::store::Store;
use crate::{
    bots, chats, chunks, documents, figures, folder, jobs, keys, pictures, training, turns,
};

/// A [`Store`] in one file, for one process at a time and any number of its threads.
///
/// Every change is on the disk when its call returns. After an I/O error, a full disk for one,
/// the store goes on working: the next call opens the file again and finds the last state that
/// was whole. A call that failed with [`Error::Io`] has happened whole or not at all; which of the
/// two is certain only after reading, because the error may have come after the last byte.
///
/// A closure given to [`Store::update_bot`] must not change the store: it would wait for itself.
pub struct RedbStore {
    connection: Connection,
}

impl std::fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedbStore")
            .field("path", &self.connection.path())
            .finish_non_exhaustive()
    }
}

impl RedbStore {
    /// Opens the store in the file at `path`; makes one if there is no file, or an empty one.
    ///
    /// A new store appears under its name only when it is whole, readable by its owner alone. An
    /// older one is copied to `<file>.schema-<n>.bak` and then migrated.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] if the file is open already, [`Error::Damaged`] if it is not a store or
    /// not a whole one, [`Error::NewerSchema`] if a newer version of the program wrote it (in
    /// these cases the file is left as it is), [`Error::Migration`] if it is older and could not
    /// be brought forward, [`Error::Io`] if the file or its folder cannot be read or written.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, PRESENT)
    }

    /// [`open`](Self::open), for a schema other than the present one.
    pub(crate) fn open_with(path: &Path, schema: Schema) -> Result<Self> {
        if !exists(path)? {
            create(path, schema)?;
        }
        Self::open_backend(path, connection::file_backend(path), schema)
    }

    /// Opens whatever `open_backend` gives; `path` stands for it in errors.
    pub(crate) fn open_backend(
        path: &Path,
        open_backend: OpenBackend,
        schema: Schema,
    ) -> Result<Self> {
        let connection = migration::open(path, open_backend, schema)?;
        Ok(Self { connection })
    }
}

#[cfg(test)]
impl RedbStore {
    /// The open database, for tests that look behind the records.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }
}

fn exists(path: &Path) -> Result<bool> {
    path.try_exists().map_err(|error| Error::io(path, error))
}

/// Makes an empty store under another name and gives it its own when it is whole, so that a crash
/// never leaves half a store. If another process was faster, its store stays.
fn create(path: &Path, schema: Schema) -> Result<()> {
    let io_error = |error| Error::io(path, error);
    let new = tempfile::Builder::new()
        .prefix(".new-store-")
        .tempfile_in(folder::of(path))
        .map_err(io_error)?;
    drop(RedbStore::open_backend(
        path,
        connection::file_backend(new.path()),
        schema,
    )?);
    new.as_file().sync_all().map_err(io_error)?;
    match new.persist_noclobber(path) {
        Ok(_) => folder::sync_folder(path).map_err(io_error),
        Err(failed) if failed.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(failed) => Err(io_error(failed.error)),
    }
}

impl Store for RedbStore {
    fn create_bot(&self, bot: &BotRecord) -> Result<()> {
        self.connection.write(|txn| bots::create(txn, bot))
    }

    fn bot(&self, bot_id: &str) -> Result<BotRecord> {
        self.connection.read(|txn| bots::get(txn, bot_id))
    }

    fn bots(&self) -> Result<Vec<BotRecord>> {
        self.connection.read(bots::list)
    }

    fn bots_of_tenant(&self, tenant: &str) -> Result<Vec<BotRecord>> {
        self.connection
            .read(|txn| bots::list_of_tenant(txn, tenant))
    }

    fn update_bot(&self, bot_id: &str, edit: &mut dyn FnMut(&mut BotRecord)) -> Result<BotRecord> {
        // `edit` runs between two transactions rather than inside one, so that it may read the
        // store and may panic; the guard keeps every other change out meanwhile.
        let writer = self.connection.writer();
        let stored = writer.read(|txn| bots::get(txn, bot_id))?;
        let edited = bots::edited(stored, edit);
        writer.write(|txn| bots::replace(txn, &edited))?;
        Ok(edited)
    }

    fn delete_bot(&self, bot_id: &str) -> Result<()> {
        self.connection.write(|txn| bots::delete(txn, bot_id))
    }

    fn add_documents(&self, bot_id: &str, new: &[NewDocument]) -> Result<AddedDocuments> {
        self.connection
            .write(|txn| documents::add(txn, bot_id, new))
    }

    fn document(&self, bot_id: &str, document_id: u64) -> Result<DocumentRecord> {
        self.connection
            .read(|txn| documents::get(txn, bot_id, document_id))
    }

    fn documents(
        &self,
        bot_id: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<DocumentRecord>> {
        self.connection
            .read(|txn| documents::list(txn, bot_id, after, limit))
    }

    fn remove_documents(&self, bot_id: &str, document_ids: &[u64]) -> Result<Vec<u64>> {
        self.connection
            .write(|txn| documents::remove(txn, bot_id, document_ids))
    }

    fn replace_documents(
        &self,
        bot_id: &str,
        document_ids: &[u64],
        new: &[NewDocument],
    ) -> Result<AddedDocuments> {
        self.connection
            .write(|txn| documents::replace(txn, bot_id, document_ids, new))
    }

    fn index_documents(
        &self,
        bot_id: &str,
        space: &VectorSpace,
        indexed: &[IndexedDocument],
    ) -> Result<Vec<Vec<u64>>> {
        self.connection
            .write(|txn| chunks::index(txn, bot_id, space, indexed))
    }

    fn clear_index(&self, bot_id: &str) -> Result<()> {
        self.connection.write(|txn| chunks::clear(txn, bot_id))
    }

    fn chunks(&self, bot_id: &str, chunk_ids: &[u64]) -> Result<Vec<ChunkRecord>> {
        self.connection
            .read(|txn| chunks::get_many(txn, bot_id, chunk_ids))
    }

    fn visit_vectors(&self, bot_id: &str, visit: &mut dyn FnMut(u64, &[f32])) -> Result<u64> {
        self.connection
            .read(|txn| chunks::visit_vectors(txn, bot_id, visit))
    }

    fn create_chat(&self, chat: &ChatRecord) -> Result<()> {
        self.connection.write(|txn| chats::create(txn, chat))
    }

    fn chat(&self, chat_id: &str) -> Result<ChatRecord> {
        self.connection.read(|txn| chats::get(txn, chat_id))
    }

    fn chats(&self, bot_id: &str, kind: ChatKind) -> Result<Vec<ChatRecord>> {
        self.connection.read(|txn| chats::list(txn, bot_id, kind))
    }

    fn rename_chat(&self, chat_id: &str, title: Option<&str>) -> Result<ChatRecord> {
        self.connection
            .write(|txn| chats::rename(txn, chat_id, title))
    }

    fn delete_chat(&self, chat_id: &str) -> Result<()> {
        self.connection.write(|txn| chats::delete(txn, chat_id))
    }

    fn append_turn(&self, chat_id: &str, turn: &TurnRecord) -> Result<u64> {
        self.connection
            .write(|txn| turns::append(txn, chat_id, turn.clone()))
    }

    fn turns(&self, chat_id: &str, order: Order, limit: Option<usize>) -> Result<Vec<TurnRecord>> {
        self.connection
            .read(|txn| turns::list(txn, chat_id, order, limit))
    }

    fn turns_from(&self, chat_id: &str, first: u64, limit: usize) -> Result<Vec<TurnRecord>> {
        self.connection
            .read(|txn| turns::list_from(txn, chat_id, first, limit))
    }

    fn append_vision_turn(
        &self,
        chat_id: &str,
        turn: &VisionTurnRecord,
        copies: &[PictureCopy],
    ) -> Result<u64> {
        self.connection
            .write(|txn| turns::append_vision(txn, chat_id, turn.clone(), copies))
    }

    fn picture(&self, chat_id: &str, sha256: &str) -> Result<Vec<u8>> {
        self.connection
            .read(|txn| pictures::get(txn, chat_id, sha256))
    }

    fn vision_turns(
        &self,
        chat_id: &str,
        order: Order,
        limit: Option<usize>,
    ) -> Result<Vec<VisionTurnRecord>> {
        self.connection
            .read(|txn| turns::list(txn, chat_id, order, limit))
    }

    fn vision_turns_from(
        &self,
        chat_id: &str,
        first: u64,
        limit: usize,
    ) -> Result<Vec<VisionTurnRecord>> {
        self.connection
            .read(|txn| turns::list_from(txn, chat_id, first, limit))
    }

    fn untrained_turns(&self, bot_id: &str) -> Result<Vec<(TurnKey, TurnRecord)>> {
        self.connection.read(|txn| training::untrained(txn, bot_id))
    }

    fn commit_training(
        &self,
        bot_id: &str,
        taken: &[TurnKey],
        new: &[NewDocument],
    ) -> Result<AddedDocuments> {
        self.connection
            .write(|txn| training::commit(txn, bot_id, taken, new))
    }

    fn put_job(&self, job: &JobRecord) -> Result<()> {
        self.connection.write(|txn| jobs::put(txn, job))
    }

    fn update_job(&self, job_id: &str, edit: &mut dyn FnMut(&mut JobRecord)) -> Result<JobRecord> {
        // As in `update_bot`: `edit` runs between two transactions, and the guard keeps others out.
        let writer = self.connection.writer();
        let stored = writer.read(|txn| jobs::get(txn, job_id))?;
        let edited = jobs::edited(stored, edit);
        writer.write(|txn| jobs::put(txn, &edited))?;
        Ok(edited)
    }

    fn remove_job(&self, job_id: &str) -> Result<()> {
        self.connection.write(|txn| jobs::remove(txn, job_id))
    }

    fn job(&self, job_id: &str) -> Result<JobRecord> {
        self.connection.read(|txn| jobs::get(txn, job_id))
    }

    fn jobs(&self, bot_id: &str) -> Result<Vec<JobRecord>> {
        self.connection.read(|txn| jobs::list(txn, bot_id))
    }

    fn jobs_without_bot(&self) -> Result<Vec<JobRecord>> {
        self.connection.read(jobs::list_without_bot)
    }

    fn figures(&self) -> Result<StoreFigures> {
        let figures = self.connection.read(figures::take)?;
        let path = self.connection.path();
        let file = std::fs::metadata(path).map_err(|error| Error::io(path, error))?;
        Ok(StoreFigures {
            file_bytes: file.len(),
            ..figures
        })
    }
}

impl KeyStore for RedbStore {
    fn create_key(&self, key: &StoredKey) -> Result<()> {
        self.connection.write(|txn| keys::create(txn, key))
    }

    fn keys(&self) -> Result<Vec<StoredKey>> {
        self.connection.read(keys::list)
    }

    fn revoke_key(&self, key_id: &str, at: Timestamp) -> Result<KeyRecord> {
        self.connection.write(|txn| keys::revoke(txn, key_id, at))
    }

    fn note_key_use(&self, key_id: &str, at: Timestamp) -> Result<KeyRecord> {
        self.connection.write(|txn| keys::note_use(txn, key_id, at))
    }
}

#[cfg(test)]
mod failing_disk_tests;
