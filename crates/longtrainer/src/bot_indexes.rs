//! The vector index of each bot: in memory while in use, in a file between runs, and made again
//! from the store whenever memory and file are not of the store's revision.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use longtrainer_index::{FlatIndex, Hit, Metric, VectorIndex};
use longtrainer_store::{BotRecord, Store};

use crate::error::Result;
use crate::ids::BotId;

/// An index and the revision of the store's vectors that it holds.
struct Revisioned {
    index: FlatIndex,
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
        match self.current(store, file, bot_id, &bot)? {
            Some(current) => Ok(current.index.search(query, k)?),
            None => Ok(Vec::new()),
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
            Some(current) => current,
            None => {
                let rebuilt = rebuild(store, bot_id, space.dimension)?;
                save(&rebuilt, file);
                rebuilt
            }
        };
        let current = Arc::new(current);
        self.lock().insert(bot_id.clone(), Arc::clone(&current));
        Ok(Some(current))
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
    match FlatIndex::open(file) {
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

fn rebuild(store: &dyn Store, bot_id: &BotId, dimension: usize) -> Result<Revisioned> {
    let mut ids = Vec::new();
    let mut vectors = Vec::new();
    let revision = store.visit_vectors(bot_id.as_str(), &mut |id, vector| {
        ids.push(id);
        vectors.extend_from_slice(vector);
    })?;
    let mut index = FlatIndex::new(dimension, Metric::InnerProduct)?;
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
