//! Texts for documents and questions.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use rand::Rng;
use rand::rngs::StdRng;

/// Words that the text has at least.
const LEAST: usize = 1000;

/// A text to cut pieces from.
#[derive(Debug)]
pub(crate) struct Words(Vec<String>);

impl Words {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        let found = words.len();
        ensure!(
            found >= LEAST,
            "{} has {found} words; {LEAST} are needed",
            path.display()
        );
        Ok(Self(words))
    }

    /// So many words from anywhere.
    pub(crate) fn piece(&self, random: &mut StdRng, count: usize) -> String {
        let count = count.min(self.0.len());
        let start = random.random_range(0..=self.0.len() - count);
        self.0[start..start + count].join(" ")
    }
}
