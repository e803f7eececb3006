//! [`TenantStore`]: what one tenant sees of a store.
//!
//! Bots of other tenants, bots of nobody, and all that belongs to them answer as ids that were
//! never given out: the error is the same, so nobody learns what exists. Chats, turns, pictures,
//! documents and jobs belong to the tenant of their bot, so each call first finds the bot. Nothing
//! can slip in between that and the call itself: a bot never changes its tenant, a chat or job never
//! its bot, and the facade gives no id out twice. Jobs that work for no bot are the owner's.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::records::{
    AddedDocuments, BotRecord, ChatKind, ChatRecord, ChunkRecord, DocumentRecord, IndexedDocument,
    JobRecord, NewDocument, Order, PictureCopy, StoreFigures, TurnKey, TurnRecord, VectorSpace,
    VisionTurnRecord,
};
use crate::store::Store;

/// What one tenant sees of a store, and all that it may change there.
pub struct TenantStore {
    store: Arc<dyn Store>,
    tenant: String,
}

impl TenantStore {
    /// The view of `tenant`.
    pub fn new(store: Arc<dyn Store>, tenant: impl Into<String>) -> Self {
        Self {
            store,
            tenant: tenant.into(),
        }
    }

    fn owns(&self, bot: &BotRecord) -> bool {
        bot.tenant.as_deref() == Some(&self.tenant)
    }

    /// The record of a bot of this tenant.
    fn own_bot(&self, bot_id: &str) -> Result<BotRecord> {
        let bot = self.store.bot(bot_id)?;
        if self.owns(&bot) {
            return Ok(bot);
        }
        Err(Error::BotNotFound {
            bot_id: bot_id.to_owned(),
        })
    }

    /// The store, for a call about a bot of this tenant.
    fn of_bot(&self, bot_id: &str) -> Result<&dyn Store> {
        self.own_bot(bot_id)?;
        Ok(&*self.store)
    }

    /// Whether a bot is there and of this tenant.
    fn has_bot(&self, bot_id: &str) -> Result<bool> {
        match self.own_bot(bot_id) {
            Ok(_) => Ok(true),
            Err(Error::BotNotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The record of a chat of a bot of this tenant.
    fn own_chat(&self, chat_id: &str) -> Result<ChatRecord> {
        let chat = self.store.chat(chat_id)?;
        if self.has_bot(&chat.bot_id)? {
            return Ok(chat);
        }
        Err(Error::ChatNotFound {
            chat_id: chat_id.to_owned(),
        })
    }

    /// The store, for a call about a chat of a bot of this tenant.
    fn of_chat(&self, chat_id: &str) -> Result<&dyn Store> {
        self.own_chat(chat_id)?;
        Ok(&*self.store)
    }

    /// The record of a job of a bot of this tenant.
    fn own_job(&self, job_id: &str) -> Result<JobRecord> {
        let job = self.store.job(job_id)?;
        let is_own = match &job.bot_id {
            Some(bot_id) => self.has_bot(bot_id)?,
            None => false,
        };
        if is_own {
            return Ok(job);
        }
        Err(Error::JobNotFound {
            job_id: job_id.to_owned(),
        })
    }

    /// The store, for a call about a job of a bot of this tenant.
    fn of_job(&self, job_id: &str) -> Result<&dyn Store> {
        self.own_job(job_id)?;
        Ok(&*self.store)
    }
}

impl Store for TenantStore {
    /// Whatever tenant the record names, the new bot is this tenant's.
    fn create_bot(&self, bot: &BotRecord) -> Result<()> {
        self.store.create_bot(&BotRecord {
            tenant: Some(self.tenant.clone()),
            ..bot.clone()
        })
    }

    fn bot(&self, bot_id: &str) -> Result<BotRecord> {
        self.own_bot(bot_id)
    }

    fn bots(&self) -> Result<Vec<BotRecord>> {
        self.store.bots_of_tenant(&self.tenant)
    }

    fn bots_of_tenant(&self, tenant: &str) -> Result<Vec<BotRecord>> {
        match tenant == self.tenant {
            true => self.bots(),
            false => Ok(Vec::new()),
        }
    }

    fn update_bot(&self, bot_id: &str, edit: &mut dyn FnMut(&mut BotRecord)) -> Result<BotRecord> {
        self.of_bot(bot_id)?.update_bot(bot_id, edit)
    }

    fn delete_bot(&self, bot_id: &str) -> Result<()> {
        self.of_bot(bot_id)?.delete_bot(bot_id)
    }

    fn add_documents(&self, bot_id: &str, documents: &[NewDocument]) -> Result<AddedDocuments> {
        self.of_bot(bot_id)?.add_documents(bot_id, documents)
    }

    fn document(&self, bot_id: &str, document_id: u64) -> Result<DocumentRecord> {
        self.of_bot(bot_id)?.document(bot_id, document_id)
    }

    fn documents(
        &self,
        bot_id: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<DocumentRecord>> {
        self.of_bot(bot_id)?.documents(bot_id, after, limit)
    }

    fn remove_documents(&self, bot_id: &str, document_ids: &[u64]) -> Result<Vec<u64>> {
        self.of_bot(bot_id)?.remove_documents(bot_id, document_ids)
    }

    fn replace_documents(
        &self,
        bot_id: &str,
        document_ids: &[u64],
        documents: &[NewDocument],
    ) -> Result<AddedDocuments> {
        self.of_bot(bot_id)?
            .replace_documents(bot_id, document_ids, documents)
    }

    fn index_documents(
        &self,
        bot_id: &str,
        space: &VectorSpace,
        documents: &[IndexedDocument],
    ) -> Result<Vec<Vec<u64>>> {
        self.of_bot(bot_id)?
            .index_documents(bot_id, space, documents)
    }

    fn clear_index(&self, bot_id: &str) -> Result<()> {
        self.of_bot(bot_id)?.clear_index(bot_id)
    }

    fn chunks(&self, bot_id: &str, chunk_ids: &[u64]) -> Result<Vec<ChunkRecord>> {
        self.of_bot(bot_id)?.chunks(bot_id, chunk_ids)
    }

    fn visit_vectors(&self, bot_id: &str, visit: &mut dyn FnMut(u64, &[f32])) -> Result<u64> {
        self.of_bot(bot_id)?.visit_vectors(bot_id, visit)
    }

    fn create_chat(&self, chat: &ChatRecord) -> Result<()> {
        self.of_bot(&chat.bot_id)?.create_chat(chat)
    }

    fn chat(&self, chat_id: &str) -> Result<ChatRecord> {
        self.own_chat(chat_id)
    }

    fn chats(&self, bot_id: &str, kind: ChatKind) -> Result<Vec<ChatRecord>> {
        self.of_bot(bot_id)?.chats(bot_id, kind)
    }

    fn rename_chat(&self, chat_id: &str, title: Option<&str>) -> Result<ChatRecord> {
        self.of_chat(chat_id)?.rename_chat(chat_id, title)
    }

    fn delete_chat(&self, chat_id: &str) -> Result<()> {
        self.of_chat(chat_id)?.delete_chat(chat_id)
    }

    fn append_turn(&self, chat_id: &str, turn: &TurnRecord) -> Result<u64> {
        self.of_chat(chat_id)?.append_turn(chat_id, turn)
    }

    fn turns(&self, chat_id: &str, order: Order, limit: Option<usize>) -> Result<Vec<TurnRecord>> {
        self.of_chat(chat_id)?.turns(chat_id, order, limit)
    }

    fn turns_from(&self, chat_id: &str, first: u64, limit: usize) -> Result<Vec<TurnRecord>> {
        self.of_chat(chat_id)?.turns_from(chat_id, first, limit)
    }

    fn append_vision_turn(
        &self,
        chat_id: &str,
        turn: &VisionTurnRecord,
        copies: &[PictureCopy],
    ) -> Result<u64> {
        self.of_chat(chat_id)?
            .append_vision_turn(chat_id, turn, copies)
    }

    fn picture(&self, chat_id: &str, sha256: &str) -> Result<Vec<u8>> {
        self.of_chat(chat_id)?.picture(chat_id, sha256)
    }

    fn vision_turns(
        &self,
        chat_id: &str,
        order: Order,
        limit: Option<usize>,
    ) -> Result<Vec<VisionTurnRecord>> {
        self.of_chat(chat_id)?.vision_turns(chat_id, order, limit)
    }

    fn vision_turns_from(
        &self,
        chat_id: &str,
        first: u64,
        limit: usize,
    ) -> Result<Vec<VisionTurnRecord>> {
        self.of_chat(chat_id)?
            .vision_turns_from(chat_id, first, limit)
    }

    fn untrained_turns(&self, bot_id: &str) -> Result<Vec<(TurnKey, TurnRecord)>> {
        self.of_bot(bot_id)?.untrained_turns(bot_id)
    }

    fn commit_training(
        &self,
        bot_id: &str,
        turns: &[TurnKey],
        documents: &[NewDocument],
    ) -> Result<AddedDocuments> {
        self.of_bot(bot_id)?
            .commit_training(bot_id, turns, documents)
    }

    /// A job that is there already must be this tenant's, too: it would be replaced.
    fn put_job(&self, job: &JobRecord) -> Result<()> {
        let bot_id = job.bot_id.as_deref().ok_or(Error::OwnerOnly {
            what: "a job that works for no bot",
        })?;
        let store = self.of_bot(bot_id)?;
        match store.job(&job.job_id) {
            Ok(_) => self.own_job(&job.job_id).map(drop)?,
            Err(Error::JobNotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        store.put_job(job)
    }

    fn job(&self, job_id: &str) -> Result<JobRecord> {
        self.own_job(job_id)
    }

    fn jobs(&self, bot_id: &str) -> Result<Vec<JobRecord>> {
        self.of_bot(bot_id)?.jobs(bot_id)
    }
    fn update_job(&self, job_id: &str, edit: &mut dyn FnMut(&mut JobRecord)) -> Result<JobRecord> {
        self.of_job(job_id)?.update_job(job_id, edit)
    }

    fn remove_job(&self, job_id: &str) -> Result<()> {
        self.of_job(job_id)?.remove_job(job_id)
    }

    /// None: they are the owner's.
    fn jobs_without_bot(&self) -> Result<Vec<JobRecord>> {
        Ok(Vec::new())
    }

    /// How much others have is not for a tenant to know.
    fn figures(&self) -> Result<StoreFigures> {
        Err(Error::OwnerOnly {
            what: "what the whole store holds",
        })
    }
}
