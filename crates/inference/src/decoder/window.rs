//! Sliding windows: blocks whose attention sees only the latest tokens (Beltagy et al. 2020,
//! <https://arxiv.org/abs/2004.05150>).

use super::architecture::{Architecture, WindowRule};
use crate::Result;
use crate::model_file::ModelFile;

const SIZE: &str = "attention.sliding_window";
const PATTERN: &str = "attention.sliding_window_pattern";

/// The window of a model, and the blocks that have it: the local ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// Tokens that a token looks at, itself among them.
    pub(crate) tokens: usize,
    local: Local,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Local {
    Every,
    /// Every block but each so many-th.
    AllButEach(usize),
    /// As the file says, block by block.
    Listed(Vec<bool>),
}

impl Window {
    /// Reads the window of an architecture whose attention knows one. A window of 0 is none.
    pub(super) fn from_gguf(
        file: &ModelFile,
        key: &dyn Fn(&str) -> String,
        architecture: &Architecture,
        blocks: usize,
    ) -> Result<Option<Self>> {
        let local = match architecture.window_rule {
            WindowRule::LimitsContext => return Ok(None),
            WindowRule::EveryBlock => Local::Every,
            WindowRule::AllButEach { period } => pattern(file, &key(PATTERN), period, blocks)?,
        };
        let tokens = size(file, key)?.or(architecture.default_window);
        let tokens = tokens.filter(|tokens| *tokens > 0);
        Ok(tokens.map(|tokens| Self { tokens, local }))
    }

    /// Whether a block has the window.
    pub(crate) fn is_local(&self, block: usize) -> bool {
        match &self.local {
            Local::Every => true,
            Local::AllButEach(period) => !(block + 1).is_multiple_of(*period),
            Local::Listed(blocks) => blocks.get(block).is_some_and(|is_local| *is_local),
        }
    }
}

/// The window's tokens, if the file says; 0 stands for none.
pub(super) fn size(file: &ModelFile, key: &dyn Fn(&str) -> String) -> Result<Option<usize>> {
    match file.integer(&key(SIZE))? {
        None => Ok(None),
        Some(0) => Ok(Some(0)),
        Some(_) => file.required_size(&key(SIZE)).map(Some),
    }
}

/// A file may list the local blocks, or say how far apart the others are (0: there are none).
fn pattern(file: &ModelFile, key: &str, period: usize, blocks: usize) -> Result<Local> {
    if !file.is_list(key) {
        let period = file.integer(key)?.unwrap_or(period as u64);
        // No model has blocks enough for a period beyond usize to differ from the largest.
        let period = usize::try_from(period).unwrap_or(usize::MAX);
        return Ok(match period {
            0 => Local::Every,
            period => Local::AllButEach(period),
        });
    }
    let listed = file.booleans(key)?.unwrap_or_default();
    if listed.len() != blocks {
        let problem = format!(
            "{} has {} entries for {blocks} blocks",
            file.field(key),
            listed.len()
        );
        return Err(file.bad(problem));
    }
    Ok(Local::Listed(listed))
}
