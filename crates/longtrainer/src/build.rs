//! Making documents searchable: split, embed, store, index.
//!
//! Work is committed a batch of documents at a time, so that a build that is cut off goes on where
//! it stopped, and only documents without chunks of the present splitting are touched.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use longtrainer_documents::Splitter;
use longtrainer_inference::EmbedderInfo;
use longtrainer_store::{
    BotRecord, Chunking, DocumentRecord, IndexedDocument, NewChunk, VectorSpace,
};

use crate::error::{Error, Result};
use crate::ids::BotId;
use crate::model_pool::EmbedderLease;
use crate::trainer::{Inner, LongTrainer};

/// Chunks embedded in one call and, at least, committed together: enough for the embedder to sort
/// by length, few enough that progress shows and little is lost when the power goes.
const BATCH: usize = 128;

/// How far a build has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildProgress {
    /// Documents done.
    pub documents_done: usize,
    /// Documents that this build has to do.
    pub documents_total: usize,
    /// Chunks embedded so far.
    pub chunks_done: usize,
}

/// What a build did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BuildReport {
    /// Documents made searchable by this build.
    pub documents: usize,
    /// Their chunks.
    pub chunks: usize,
    /// Documents that were searchable before.
    pub already_built: usize,
    /// How long it took.
    pub elapsed: Duration,
}

/// Told how far a build has come. An error of it ends the build; what is committed by then stays.
pub(crate) type Watch<'a> = &'a mut dyn FnMut(BuildProgress) -> Result<()>;

/// A document split but not yet embedded.
struct SplitDocument {
    document_id: u64,
    pieces: Vec<longtrainer_documents::Piece>,
}

/// One build at work.
struct Build<'a> {
    inner: &'a Inner,
    bot_id: &'a BotId,
    chunking: Chunking,
    splitter: Splitter,
    embedder: EmbedderLease,
    space: VectorSpace,
    waiting: Vec<SplitDocument>,
    waiting_pieces: usize,
    progress: BuildProgress,
    report: Watch<'a>,
}

impl LongTrainer {
    /// Makes every waiting document searchable.
    pub(crate) fn build(&self, bot_id: &BotId, progress: Watch<'_>) -> Result<BuildReport> {
        let lock = self.inner.build_lock(bot_id)?;
        let _building = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let started = Instant::now();
        let bot = self.bot(bot_id)?;
        let chunking = bot
            .settings
            .chunking
            .unwrap_or(self.inner.defaults.chunking);
        let (waiting, already_built) = self.count_documents(bot_id, chunking)?;
        let chunks = match waiting {
            0 => 0,
            _ => self.build_waiting(bot_id, &bot, chunking, waiting, progress)?,
        };
        self.inner.store.update_bot(bot_id.as_str(), &mut |bot| {
            bot.built_at = Some(Timestamp::now());
        })?;
        self.inner.refresh_index(bot_id)?;
        Ok(BuildReport {
            documents: waiting,
            chunks,
            already_built,
            elapsed: started.elapsed(),
        })
    }

    /// How many documents wait for a build, and how many do not.
    fn count_documents(&self, bot_id: &BotId, chunking: Chunking) -> Result<(usize, usize)> {
        let (mut waiting, mut built) = (0, 0);
        self.visit_documents(bot_id, |document| {
            match needs_build(&document, chunking) {
                true => waiting += 1,
                false => built += 1,
            }
            Ok(())
        })?;
        Ok((waiting, built))
    }

    fn build_waiting(
        &self,
        bot_id: &BotId,
        bot: &BotRecord,
        chunking: Chunking,
        documents_total: usize,
        progress: Watch<'_>,
    ) -> Result<usize> {
        let embedder = self.inner.embedder_of(bot)?;
        let mut build = Build {
            inner: &self.inner,
            bot_id,
            chunking,
            splitter: Splitter::new(chunking.chunk_size, chunking.chunk_overlap)?,
            space: vector_space(bot_id, bot, embedder.info())?,
            embedder,
            waiting: Vec::new(),
            waiting_pieces: 0,
            progress: BuildProgress {
                documents_done: 0,
                documents_total,
                chunks_done: 0,
            },
            report: progress,
        };
        self.visit_documents(bot_id, |document| match needs_build(&document, chunking) {
            true => build.take(&document),
            false => Ok(()),
        })?;
        build.commit()?;
        Ok(build.progress.chunks_done)
    }
}

impl Build<'_> {
    /// Splits a document, and commits once enough pieces wait.
    fn take(&mut self, document: &DocumentRecord) -> Result<()> {
        let pieces = self.splitter.split(&document.page_content);
        self.waiting_pieces += pieces.len();
        self.waiting.push(SplitDocument {
            document_id: document.document_id,
            pieces,
        });
        match self.waiting_pieces >= BATCH {
            true => self.commit(),
            false => Ok(()),
        }
    }

    /// Embeds and stores the documents that wait, whole documents in one transaction.
    fn commit(&mut self) -> Result<()> {
        let documents = std::mem::take(&mut self.waiting);
        self.waiting_pieces = 0;
        let mut vectors = self.embed(&documents)?.into_iter();
        let indexed: Vec<_> = documents
            .into_iter()
            .map(|document| self.with_vectors(document, &mut vectors))
            .collect();
        self.inner
            .store
            .index_documents(self.bot_id.as_str(), &self.space, &indexed)?;
        self.progress.documents_done += indexed.len();
        (self.report)(self.progress)
    }

    fn embed(&mut self, documents: &[SplitDocument]) -> Result<Vec<Vec<f32>>> {
        let texts: Vec<&str> = documents
            .iter()
            .flat_map(|document| document.pieces.iter().map(|piece| piece.text.as_str()))
            .collect();
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            vectors.extend(self.embedder.embed(batch)?);
            self.progress.chunks_done += batch.len();
            (self.report)(self.progress)?;
        }
        Ok(vectors)
    }

    fn with_vectors(
        &self,
        document: SplitDocument,
        vectors: &mut impl Iterator<Item = Vec<f32>>,
    ) -> IndexedDocument {
        let chunks = document
            .pieces
            .into_iter()
            .zip(vectors)
            .map(|(piece, vector)| NewChunk {
                text: piece.text,
                start: piece.start,
                vector,
            })
            .collect();
        IndexedDocument {
            document_id: document.document_id,
            chunking: self.chunking,
            chunks,
        }
    }
}

fn needs_build(document: &DocumentRecord, chunking: Chunking) -> bool {
    document.chunks.is_none_or(|span| span.chunking != chunking)
}

/// The space of a bot's vectors. The weights make the space, not the name they go by: the same
/// model under another name or path is no change.
pub(crate) fn vector_space(
    bot_id: &BotId,
    bot: &BotRecord,
    embedder: &EmbedderInfo,
) -> Result<VectorSpace> {
    match &bot.vector_space {
        None => Ok(VectorSpace {
            model: embedder.model.clone(),
            dimension: embedder.dimension,
            sha256: embedder.sha256.clone(),
        }),
        Some(space) if space.sha256 == embedder.sha256 && space.dimension == embedder.dimension => {
            Ok(space.clone())
        }
        Some(space) => Err(Error::ReindexNeeded {
            bot_id: bot_id.clone(),
            stored: space.model.clone(),
            chosen: embedder.model.clone(),
        }),
    }
}

impl Inner {
    /// Brings a bot's index up to what the store holds.
    pub(crate) fn refresh_index(&self, bot_id: &BotId) -> Result<()> {
        self.indexes
            .refresh(&*self.store, &self.data_dir.index(bot_id), bot_id)
    }
}
