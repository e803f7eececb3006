//! From a question to the passages nearest to it.
//!
//! A question is searched for as it is; in a chat, with some of the questions before it. With the
//! ensemble it is also searched for in other words, and what all phrasings find is fused.

pub(crate) mod follow_up;
mod fusion;
mod rephrase;

use std::collections::HashSet;

use longtrainer_index::Hit;
use longtrainer_inference::{Embedder, with_causes};
use longtrainer_store::{BotRecord, ChunkRecord, Error as StoreError, SourceRecord};
use serde_json::Value;

use crate::build::vector_space;
use crate::conversation::PastTurn;
use crate::documents::Metadata;
use crate::error::{Error, Result};
use crate::ids::BotId;
use crate::settings::check_num_k;
use crate::trainer::{Inner, LongTrainer};
use fusion::fuse;

/// How many times the passages asked for each query finds where several are fused: what stands low
/// in one ranking may stand high in another.
const DEPTH: usize = 4;
/// The fewest it finds there, since a ranking of one or two places says little.
const LEAST_DEPTH: usize = 20;

/// A passage found for a question.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct RetrievedDocument {
    /// The text of the chunk.
    pub page_content: String,
    /// The metadata of its document.
    pub metadata: Metadata,
    /// Cosine similarity, in [-1, 1], to what was searched for: the question, in a chat with some of
    /// the questions before it; of several phrasings the nearest.
    pub score: f32,
    /// The document it was cut from.
    pub document_id: u64,
    /// Its id.
    pub chunk_id: u64,
    /// Where it begins in its document, in characters.
    pub start: usize,
}

/// What was searched for beside the question itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RetrievalUse {
    /// Other phrasings of the question; empty unless the bot is set to `ensemble`.
    pub phrasings: Vec<String>,
    /// Why a bot that is set to `ensemble` searched without phrasings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phrasing_error: Option<String>,
    /// Whether the chat's last questions were searched for with this one.
    pub with_conversation: bool,
}

/// Passages and how they were found.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Retrieval {
    /// The passages, best first. Where more was searched for than the question, the order is that of
    /// the fused rankings, which need not be that of the scores.
    pub documents: Vec<RetrievedDocument>,
    /// What was searched for.
    pub retrieval: RetrievalUse,
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
    /// The passages of a bot nearest to `query`, best first: as many as the bot's `num_k`.
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
        Ok(self.retrieve(bot_id, query, num_k)?.documents)
    }

    /// [`LongTrainer::search`], telling also what was searched for.
    pub fn retrieve(&self, bot_id: &BotId, query: &str, num_k: Option<usize>) -> Result<Retrieval> {
        crate::question::check(query)?;
        let bot = self.bot(bot_id)?;
        crate::question::check_built(bot_id, &bot)?;
        self.inner.retrieve(bot_id, &bot, query, &[], num_k)
    }
}

impl Inner {
    /// The passages for `question`, asked after the turns of `history`. The same text from several
    /// documents counts once, under its best chunk, so that it does not crowd out the others.
    pub(crate) fn retrieve(
        &self,
        bot_id: &BotId,
        bot: &BotRecord,
        question: &str,
        history: &[PastTurn],
        num_k: Option<usize>,
    ) -> Result<Retrieval> {
        let num_k = num_k.or(bot.settings.num_k).unwrap_or(self.defaults.num_k);
        check_num_k(num_k)?;
        if bot.vector_space.is_none() {
            return Ok(Retrieval::default());
        }
        let embedder = self.embedder_of(bot)?;
        vector_space(bot_id, bot, embedder.info())?;
        let mut used = RetrievalUse::default();
        if bot.settings.ensemble.unwrap_or(self.defaults.ensemble) {
            self.rephrase(bot, question, &mut used);
        }
        let queries = query_vectors(&*embedder, question, history, &mut used)?;
        let documents = match self.nearest(bot_id, &queries, num_k) {
            // A document was removed after the search had found it. The index follows removals, so
            // searching again does not find it.
            Err(Error::Store(
                StoreError::ChunkNotFound { .. } | StoreError::DocumentNotFound { .. },
            )) => self.nearest(bot_id, &queries, num_k)?,
            found => found?,
        };
        Ok(Retrieval {
            documents,
            retrieval: used,
        })
    }

    /// Other phrasings by the bot's text model. Without them the question is still worth searching
    /// for, so a failure is logged and told, and ends nothing.
    fn rephrase(&self, bot: &BotRecord, question: &str, used: &mut RetrievalUse) {
        let phrasings = match self.text_model_of(bot) {
            Ok(model) => rephrase::rephrase(&*model, question, self.cache_scope())
                .map_err(|error| with_causes(&error)),
            Err(error) => Err(with_causes(&error)),
        };
        match phrasings {
            Ok(phrasings) => used.phrasings = phrasings,
            Err(reason) => {
                tracing::warn!(
                    bot_id = bot.bot_id,
                    reason,
                    "the question was not rephrased: searching for it alone"
                );
                used.phrasing_error = Some(reason);
            }
        }
    }

    fn nearest(
        &self,
        bot_id: &BotId,
        queries: &[Vec<f32>],
        num_k: usize,
    ) -> Result<Vec<RetrievedDocument>> {
        let mut depth = match queries.len() {
            1 => num_k,
            _ => (DEPTH * num_k).max(LEAST_DEPTH),
        };
        loop {
            let rankings = self.rankings(bot_id, queries, depth)?;
            let exhausted = rankings.iter().all(|hits| hits.len() < depth);
            let distinct = self.distinct(bot_id, &fuse(&rankings), num_k)?;
            if exhausted || distinct.len() == num_k {
                return self.with_documents(bot_id, distinct);
            }
            depth *= 2;
        }
    }

    fn rankings(
        &self,
        bot_id: &BotId,
        queries: &[Vec<f32>],
        depth: usize,
    ) -> Result<Vec<Vec<Hit>>> {
        let file = self.data_dir.index(bot_id);
        queries
            .iter()
            .map(|query| {
                self.indexes
                    .search(&*self.store, &file, bot_id, query, depth)
            })
            .collect()
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
                    start: chunk.start,
                })
            })
            .collect()
    }
}

/// The vectors of the question and its phrasings, by one call of the embedder. After other turns each
/// has some of the conversation.
fn query_vectors(
    embedder: &dyn Embedder,
    question: &str,
    history: &[PastTurn],
    used: &mut RetrievalUse,
) -> Result<Vec<Vec<f32>>> {
    let newest = history.iter().rev().take(follow_up::EARLIER);
    let earlier: Vec<_> = newest.map(|turn| turn.question.as_str()).collect();
    let context = follow_up::with_earlier(question, &earlier, embedder.info().max_tokens);
    let mut texts = vec![question];
    texts.extend(used.phrasings.iter().map(String::as_str));
    texts.extend(context.as_deref());
    let mut vectors = embedder.embed(&texts)?;
    used.with_conversation = context.is_some();
    if used.with_conversation
        && let Some(context) = vectors.pop()
    {
        for vector in &mut vectors {
            *vector = follow_up::with_context(vector, &context);
        }
    }
    Ok(vectors)
}
