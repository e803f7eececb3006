//! What a caller may choose.

use crate::{Error, Result};

/// How an index of lists codes its vectors for the estimates. Exact vectors are kept besides, and
/// decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Codes {
    /// A bit a component and 12 bytes a vector: the fastest and the smallest (RaBitQ).
    #[default]
    Bits,
    /// A byte a component and 12 bytes a vector: needs fewer exact comparisons (scalar quantiser of
    /// remainders, SQ8 in FAISS's terms).
    Bytes,
}

/// How an index of lists is made and searched. Everything that is not said is found out by
/// measuring.
#[derive(Debug, Clone, PartialEq)]
pub struct IvfOptions {
    /// The share of the true nearest 10 that a search is to find, in (0, 1]; 0.95 by default.
    pub recall: f32,
    /// Lists to divide the vectors into; by default two or four times the square root of their number,
    /// whichever turns out to cost less.
    pub lists: Option<usize>,
    /// How vectors are coded.
    pub codes: Codes,
}

impl Default for IvfOptions {
    fn default() -> IvfOptions {
        IvfOptions {
            recall: 0.95,
            lists: None,
            codes: Codes::default(),
        }
    }
}

impl IvfOptions {
    pub(crate) fn check(&self) -> Result<()> {
        check_recall(self.recall)?;
        match self.lists {
            Some(0) => Err(Error::Option {
                option: "lists",
                value: "0".to_owned(),
                allowed: "1 or more",
            }),
            _ => Ok(()),
        }
    }

    /// The numbers of lists worth a try for so many vectors.
    pub(crate) fn lists_for(&self, vectors: usize) -> Vec<usize> {
        /// Lists for the root of the number of vectors. With few lists more vectors are estimated for
        /// the same recall, with many it takes longer to rank them; which is better depends on how
        /// the vectors lie.
        const LISTS_FOR_ROOT: [f64; 2] = [2.0, 4.0];
        let root = (vectors as f64).sqrt();
        let usual = LISTS_FOR_ROOT.iter().map(|times| (times * root) as usize);
        let tried: Vec<usize> = match self.lists {
            Some(lists) => vec![lists],
            None => usual.collect(),
        };
        let possible = |lists: usize| lists.clamp(1, vectors.max(1));
        tried.into_iter().map(possible).collect()
    }
}

/// How thorough one search is, where it is not to be what the index was made for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Search {
    /// What the index's options say.
    #[default]
    Usual,
    /// The share of the true nearest 10 to be found, as measured on the index's own vectors.
    Recall(f32),
    /// Just so many lists and exact comparisons.
    Effort {
        /// Lists whose vectors are estimated.
        probes: usize,
        /// Vectors that are compared exactly.
        rerank: usize,
    },
    /// Every vector is compared.
    Exact,
}

impl Search {
    pub(crate) fn check(&self) -> Result<()> {
        match *self {
            Search::Recall(recall) => check_recall(recall),
            _ => Ok(()),
        }
    }
}

fn check_recall(recall: f32) -> Result<()> {
    match recall > 0.0 && recall <= 1.0 {
        true => Ok(()),
        false => Err(Error::Option {
            option: "recall",
            value: recall.to_string(),
            allowed: "more than 0 and at most 1",
        }),
    }
}
