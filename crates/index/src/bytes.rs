//! Vectors in a byte a component, and how far their scores can be from the exact ones.
//!
//! A quarter of the memory is read and a quarter of the arithmetic done. The score of a code is off
//! by no more than a bound that is known for each pair, so a row whose bound stays below the scores
//! of `k` others needs no exact comparison: what is found is what an exact scan finds.
//!
//! With `x = s c + e` (scale, code, error) and the query likewise, Cauchy and Schwarz give
//! `|<q, x> - s_q s <c_q, c>| <= |s_q c_q| |e| + |e_q| |x|`. A code's slack is at least the greatest
//! norm of its chunk over [`NORM_TO_SLACK`], so `|x|` is at most [`NORM_TO_SLACK`] slacks and the
//! bound is one number of the query times the slack.

use longtrainer_kernels::{byte_tile_len, encode_bytes};

use crate::rows::Values;
use crate::{Memory, Metric, Result, score};

/// Rows in a tile of codes.
pub(crate) const TILE: usize = 16;
/// Most components of a vector that has codes.
pub(crate) const MOST_CODED: u32 = 1 << 17;
/// How many slacks a norm can be: somewhat more than is usual in some hundred dimensions (a rounding
/// error of half a step in each is some 150th of the norm), so that the slack is mostly the error.
pub(crate) const NORM_TO_SLACK: f32 = 200.0;
/// Norms up to here give bounds that cannot overflow.
const GREATEST_NORM: f32 = 1e15;

/// The codes of a chunk.
#[derive(Debug, Clone)]
pub(crate) struct ByteCodes {
    /// In tiles of [`TILE`] rows.
    pub(crate) codes: Values<u8>,
    /// A code's unit: a score is a product of codes times both factors.
    pub(crate) factors: Values<f32>,
    /// Bounds of the errors.
    pub(crate) slacks: Values<f32>,
    /// What is added to the score; under L2 only.
    pub(crate) offsets: Option<Values<f32>>,
    /// The least slack.
    least: f32,
}

impl ByteCodes {
    /// The codes of whole vectors.
    pub(crate) fn encode(metric: Metric, dimension: usize, vectors: &[f32]) -> Result<ByteCodes> {
        let mut buffers = ByteBuffers::default();
        buffers.encode(metric, dimension, vectors)?;
        let offsets = (metric == Metric::L2).then(|| buffers.offsets.into());
        Self::new(
            buffers.codes.into(),
            buffers.factors.into(),
            buffers.slacks.into(),
            offsets,
        )
    }

    /// Codes that were made before.
    pub(crate) fn new(
        codes: Values<u8>,
        factors: Values<f32>,
        slacks: Values<f32>,
        offsets: Option<Values<f32>>,
    ) -> Result<ByteCodes> {
        Ok(ByteCodes {
            least: least(slacks.get()?),
            codes,
            factors,
            slacks,
            offsets,
        })
    }

    pub(crate) fn get(&self) -> Result<ByteRows<'_>> {
        Ok(ByteRows {
            codes: self.codes.get()?,
            factors: self.factors.get()?,
            slacks: self.slacks.get()?,
            offsets: self.offsets.as_ref().map(Values::get).transpose()?,
            least: self.least,
        })
    }

    pub(crate) fn memory(&self) -> Memory {
        let offsets = self
            .offsets
            .as_ref()
            .map_or(Memory::default(), Values::memory);
        self.codes.memory() + self.factors.memory() + self.slacks.memory() + offsets
    }
}

/// Codes to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByteRows<'a> {
    pub(crate) codes: &'a [u8],
    pub(crate) factors: &'a [f32],
    pub(crate) slacks: &'a [f32],
    pub(crate) offsets: Option<&'a [f32]>,
    least: f32,
}

fn least(slacks: &[f32]) -> f32 {
    slacks.iter().copied().fold(f32::INFINITY, f32::min)
}

impl ByteRows<'_> {
    /// What the slacks are to be multiplied by for each query, so that the result bounds the error of
    /// a score, the rounding of exact scores included. Ends at a query for which there is no bound:
    /// the chunk has nothing but zeros, or products leave the range of f32.
    pub(crate) fn slacks_of(
        &self,
        metric: Metric,
        dimension: usize,
        queries: &[QueryNorms],
    ) -> impl Iterator<Item = f32> {
        let least = self.least;
        queries
            .iter()
            .map_while(move |query| slack_of(metric, dimension, query, least))
    }
}

fn slack_of(metric: Metric, dimension: usize, query: &QueryNorms, least: f32) -> Option<f32> {
    let norm = NORM_TO_SLACK * least;
    let bounded = least > 0.0 && norm < GREATEST_NORM && query.exact < GREATEST_NORM;
    let product = query.coded + NORM_TO_SLACK * query.error;
    let (product, rounded) = match metric {
        Metric::InnerProduct | Metric::Cosine => (product, 2.0 * query.exact * norm),
        Metric::L2 => {
            let squares = query.exact * query.exact + norm * norm;
            (2.0 * product, 4.0 * squares)
        }
    };
    // Twice the bound for a sum of as many terms, in whatever order it is taken.
    let rounding = (dimension + 16) as f32 * f32::EPSILON * rounded;
    let slack = product * (1.0 + 1e-5) + rounding / least;
    (bounded && slack.is_finite()).then_some(slack)
}

/// Norms of a query and of its codes' error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueryNorms {
    pub(crate) exact: f32,
    pub(crate) coded: f32,
    pub(crate) error: f32,
}

/// Codes that are made, used and forgotten; the memory is used again.
#[derive(Debug, Default)]
pub(crate) struct ByteBuffers {
    codes: Vec<u8>,
    factors: Vec<f32>,
    slacks: Vec<f32>,
    offsets: Vec<f32>,
}

impl ByteBuffers {
    pub(crate) fn encode(
        &mut self,
        metric: Metric,
        dimension: usize,
        vectors: &[f32],
    ) -> Result<()> {
        let rows = vectors.len() / dimension;
        self.codes
            .resize(rows.div_ceil(TILE) * byte_tile_len(dimension), 0);
        self.factors.resize(rows, 0.0);
        self.slacks.resize(rows, 0.0);
        encode_bytes(
            vectors,
            dimension,
            &mut self.codes,
            &mut self.factors,
            &mut self.slacks,
        )?;
        let squares = vectors.chunks_exact(dimension).map(score::squared_norm);
        self.offsets.clear();
        let mut greatest = 0.0_f64;
        for square in squares {
            greatest = greatest.max(square);
            if metric == Metric::L2 {
                self.offsets.push(-square as f32);
            }
        }
        let rounding = 1.0 + f64::from(f32::EPSILON) * (dimension + 16) as f64;
        let floor = (greatest.sqrt() * rounding) as f32 / NORM_TO_SLACK;
        self.slacks
            .iter_mut()
            .for_each(|slack| *slack = slack.max(floor));
        Ok(())
    }

    pub(crate) fn get(&self) -> ByteRows<'_> {
        ByteRows {
            codes: &self.codes,
            factors: &self.factors,
            slacks: &self.slacks,
            offsets: (!self.offsets.is_empty()).then_some(&self.offsets),
            least: least(&self.slacks),
        }
    }
}
