//! What is asked about and embedded.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Words of a text that a question is asked about.
const WORDS: usize = 100;
/// Texts below which questions would be asked twice, and known the second time.
const LEAST: usize = 16;

/// Texts, taken one after the other and from the start again.
pub(crate) struct Texts(Vec<String>);

impl Texts {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let read = || format!("cannot read {}", path.display());
        let file = std::fs::read(path).with_context(read)?;
        let texts: Vec<String> = serde_json::from_slice(&file).with_context(read)?;
        ensure!(
            texts.len() >= LEAST && texts.iter().all(|text| !text.trim().is_empty()),
            "{} has {} texts; {LEAST} are needed, and none may be empty",
            path.display(),
            texts.len()
        );
        Ok(Self(texts))
    }

    /// Text number `number`.
    pub(crate) fn get(&self, number: usize) -> &str {
        &self.0[number % self.0.len()]
    }

    /// A question about a text. No other number has the same beginning, so that nothing of it is known.
    pub(crate) fn question(&self, number: usize) -> String {
        let words: Vec<&str> = self.get(number).split_whitespace().take(WORDS).collect();
        let text = words.join(" ");
        format!("{number}. Retell this in your own words and leave nothing out: {text}")
    }
}
