//! From a question to the passages nearest to it.

use std::collections::HashSet;

use longtrainer_index::Hit;
use longtrainer_store::{BotRecord, ChunkRecord, Error as StoreError, SourceRecord};
use serde_json::Value;

use crate::build::vector_space;
use crate::documents::Metadata;
use crate::error::{Error, Result};
use crate::ids::BotId;
use crate::settings::check_num_k;
use crate::trainer::{Inner, LongTrainer};

/// A passage found for a question.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct RetrievedDocument {
    /// The text of the chunk.
    pub page_content: String,
    /// The metadata of its document.
    pub metadata: Metadata,
    /// Cosine similarity to the question, in [-1, 1].
    pub score: f32,
    /// The document it was cut from.
    pub document_id: u64,
    /// Its id.
    pub chunk_id: u64,
}

impl RetrievedDocument {
    /// What a stored turn keeps of it.
    pub(crate) fn to_source(&self) -> SourceRecord {
        let number = |key| self.metadata.get(key).and_then(Value::as_u64);
        SourceRecord {
            document_id: self.document_id,
            chunk_id: self.chunk_id,
            source: self.source().to_owned(),
            page: number("page"),
            row: number("row"),
            score: self.score,
        }
    }

    /// Where it came from: the `source` of its metadata, empty if that is not a text.
    pub fn source(&self) -> &str {
        self.metadata
            .get("source")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

impl LongTrainer {
    /// The passages of a bot nearest to `query`, nearest first: as many as the bot's `num_k`.
    pub fn invoke_vectorstore(
        &self,
        bot_id: &BotId,
        query: &str,
    ) -> Result<Vec<RetrievedDocument>> {
        self.search(bot_id, query, None)
    }

    /// [`LongTrainer::invoke_vectorstore`] with a number of passages of the caller's choice.
    pub fn search(
        &self,
        bot_id: &BotId,
        query: &str,
        num_k: Option<usize>,
    ) -> Result<Vec<RetrievedDocument>> {
        crate::question::check(query)?;
        let bot = self.bot(bot_id)?;
        crate::question::check_built(bot_id, &bot)?;
        self.inner.retrieve(bot_id, &bot, query, num_k)
    }
}

impl Inner {
    /// The passages nearest to `query`. The same text from several documents counts once, under
    /// its nearest chunk, so that it does not crowd out the others.
    pub(crate) fn retrieve(
        &self,
        bot_id: &BotId,
        bot: &BotRecord,
        query: &str,
        num_k: Option<usize>,
    ) -> Result<Vec<RetrievedDocument>> {
        let num_k = num_k.or(bot.settings.num_k).unwrap_or(self.defaults.num_k);
        check_num_k(num_k)?;
        if bot.vector_space.is_none() {
            return Ok(Vec::new());
        }
        let query = self.embed_query(bot_id, bot, query)?;
        match self.nearest(bot_id, &query, num_k) {
            // A document was removed after the search had found it. The index follows removals, so
            // searching again does not find it.
            Err(Error::Store(
                StoreError::ChunkNotFound { .. } | StoreError::DocumentNotFound { .. },
            )) => self.nearest(bot_id, &query, num_k),
            found => found,
        }
    }

    fn nearest(
        &self,
        bot_id: &BotId,
        query: &[f32],
        num_k: usize,
    ) -> Result<Vec<RetrievedDocument>> {
        let file = self.data_dir.index(bot_id);
        let mut asked = num_k;
        loop {
            let hits = self
                .indexes
                .search(&*self.store, &file, bot_id, query, asked)?;
            let exhausted = hits.len() < asked;
            let distinct = self.distinct(bot_id, &hits, num_k)?;
            if exhausted || distinct.len() == num_k {
                return self.with_documents(bot_id, distinct);
            }
            asked *= 2;
        }
    }

    fn embed_query(&self, bot_id: &BotId, bot: &BotRecord, query: &str) -> Result<Vec<f32>> {
        let embedder = self.embedder_of(bot)?;
        vector_space(bot_id, bot, embedder.info())?;
        Ok(embedder.embed(&[query])?.pop().unwrap_or_default())
    }

    /// The first `most` chunks with different texts.
    fn distinct(
        &self,
        bot_id: &BotId,
        hits: &[Hit],
        most: usize,
    ) -> Result<Vec<(ChunkRecord, f32)>> {
        let ids: Vec<u64> = hits.iter().map(|hit| hit.id).collect();
        let chunks = self.store.chunks(bot_id.as_str(), &ids)?;
        let mut seen = HashSet::new();
        Ok(chunks
            .into_iter()
            .zip(hits)
            .filter(|(chunk, _)| seen.insert(chunk.text.clone()))
            .map(|(chunk, hit)| (chunk, hit.score))
            .take(most)
            .collect())
    }

    fn with_documents(
        &self,
        bot_id: &BotId,
        chunks: Vec<(ChunkRecord, f32)>,
    ) -> Result<Vec<RetrievedDocument>> {
        chunks
            .into_iter()
            .map(|(chunk, score)| {
                let document = self.store.document(bot_id.as_str(), chunk.document_id)?;
                Ok(RetrievedDocument {
                    page_content: chunk.text,
                    metadata: document.metadata,
                    score,
                    document_id: chunk.document_id,
                    chunk_id: chunk.chunk_id,
                })
            })
            .collect()
    }
}
