//! The vector index of each bot: a mapped file, made again from the store whenever it is missing,
//! damaged or not of the store's revision. Small collections are searched exactly, large ones by
//! lists that the index trains and tunes itself.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use longtrainer_index::{AutoIndex, Error as IndexError, Hit, IvfOptions, Metric, VectorIndex};
use longtrainer_store::{BotRecord, Store};

use crate::error::Result;
use crate::ids::BotId;

/// The share of the nearest passages that a search of a large collection is to find. A missed one
/// may be the answer, and what is saved by more misses is little beside the model's time.
const RECALL: f32 = 0.98;

/// An index and the revision of the store's vectors that it holds.
struct Revisioned {
    index: AutoIndex,
    revision: u64,
}

/// The indexes in memory.
#[derive(Default)]
pub(crate) struct BotIndexes {
    loaded: Mutex<HashMap<BotId, Arc<Revisioned>>>,
}

impl BotIndexes {
    /// The `k` vectors of a bot nearest to `query`, nearest first.
    pub(crate) fn search(
        &self,
        store: &dyn Store,
        file: &Path,
        bot_id: &BotId,
        query: &[f32],
        k: usize,
    ) -> Result<Vec<Hit>> {
        let bot = store.bot(bot_id.as_str())?;
        let Some(current) = self.current(store, file, bot_id, &bot)? else {
            return Ok(Vec::new());
        };
        match current.index.search(query, k) {
            // Damage to a mapped file shows when the damaged part is first read.
            Err(error @ IndexError::Damaged { .. }) => {
                tracing::warn!(file = %file.display(), %error, "index file is damaged: rebuilding");
                let rebuilt = self.keep(bot_id, rebuild(store, bot_id, query.len())?, file);
                Ok(rebuilt.index.search(query, k)?)
            }
            found => Ok(found?),
        }
    }

    /// Brings memory and file up to the store's revision.
    pub(crate) fn refresh(&self, store: &dyn Store, file: &Path, bot_id: &BotId) -> Result<()> {
        let bot = store.bot(bot_id.as_str())?;
        self.current(store, file, bot_id, &bot)?;
        Ok(())
    }

    /// Forgets a bot's index.
    pub(crate) fn forget(&self, bot_id: &BotId) {
        self.lock().remove(bot_id);
    }

    /// The index of the bot's present revision; `None` while the bot has no vectors.
    fn current(
        &self,
        store: &dyn Store,
        file: &Path,
        bot_id: &BotId,
        bot: &BotRecord,
    ) -> Result<Option<Arc<Revisioned>>> {
        let Some(space) = &bot.vector_space else {
            self.forget(bot_id);
            return Ok(None);
        };
        if let Some(loaded) = self.lock().get(bot_id)
            && loaded.revision == bot.vectors_revision
        {
            return Ok(Some(Arc::clone(loaded)));
        }
        let current = match open_file(file, bot.vectors_revision, space.dimension) {
            Some(current) => {
                let current = Arc::new(current);
                self.lock().insert(bot_id.clone(), Arc::clone(&current));
                current
            }
            None => self.keep(bot_id, rebuild(store, bot_id, space.dimension)?, file),
        };
        Ok(Some(current))
    }

    /// Saves an index and takes it into use, by way of its file if it can: what is mapped from there
    /// is not this process's own memory.
    fn keep(&self, bot_id: &BotId, rebuilt: Revisioned, file: &Path) -> Arc<Revisioned> {
        save(&rebuilt, file);
        let (revision, dimension) = (rebuilt.revision, rebuilt.index.dimension());
        let current = Arc::new(open_file(file, revision, dimension).unwrap_or(rebuilt));
        self.lock().insert(bot_id.clone(), Arc::clone(&current));
        current
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<BotId, Arc<Revisioned>>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The index in the file, if it is whole and of this revision. Anything else is rebuilt, so it is
/// worth a line in the log and no more.
fn open_file(file: &Path, revision: u64, dimension: usize) -> Option<Revisioned> {
    if !file.exists() {
        return None;
    }
    match AutoIndex::open(file, options()) {
        Ok((index, found)) if found == revision && index.dimension() == dimension => {
            Some(Revisioned { index, revision })
        }
        Ok((_, found)) => {
            tracing::info!(file = %file.display(), found, revision, "index file is stale: rebuilding");
            None
        }
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "index file is unusable: rebuilding");
            None
        }
    }
}

fn options() -> IvfOptions {
    IvfOptions {
        recall: RECALL,
        ..IvfOptions::default()
    }
}

fn rebuild(store: &dyn Store, bot_id: &BotId, dimension: usize) -> Result<Revisioned> {
    let mut ids = Vec::new();
    let mut vectors = Vec::new();
    let revision = store.visit_vectors(bot_id.as_str(), &mut |id, vector| {
        ids.push(id);
        vectors.extend_from_slice(vector);
    })?;
    let index = AutoIndex::new(dimension, Metric::InnerProduct, options())?;
    index.upsert(&ids, &vectors)?;
    Ok(Revisioned { index, revision })
}

/// The file is a cache: when it cannot be written the next start rebuilds it, so the work that led
/// here has not failed.
fn save(current: &Revisioned, file: &Path) {
    if let Err(error) = current.index.save(file, current.revision) {
        tracing::warn!(file = %file.display(), %error, "index file could not be saved");
    }
}
