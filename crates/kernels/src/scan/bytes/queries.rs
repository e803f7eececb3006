//! Queries, rounded to bytes.

use std::fmt;

use crate::isa::Supported;
use crate::scan::require_dimension;
use crate::shape::require_rows;
use crate::{Error, Result};

use super::layout::GROUP;
use super::quantise::{Quantise, Quantised};

/// Queries, rounded to bytes as [`encode_bytes`](crate::encode_bytes) rounds rows.
#[derive(Clone, Default)]
pub struct ByteQueries {
    dimension: usize,
    queries: Vec<Quantised>,
    /// Query after query, four codes in each number, the first in its lowest byte.
    groups: Vec<i32>,
}

impl ByteQueries {
    /// Rounds queries of `dimension` components, one after another.
    ///
    /// # Errors
    ///
    /// [`Error::PartialVector`] if they are not whole vectors, [`Error::Dimension`] if they are too
    /// long, [`Error::NotFinite`] with the query's number if one has an infinite component or one
    /// that is not a number.
    pub fn new(queries: &[f32], dimension: usize) -> Result<Self> {
        Self::new_on(Supported::active(), queries, dimension)
    }

    pub(super) fn new_on(cpu: Supported, queries: &[f32], dimension: usize) -> Result<Self> {
        let mut rounded = Self::default();
        rounded.fill(cpu, queries, dimension)?;
        Ok(rounded)
    }

    fn fill(&mut self, cpu: Supported, values: &[f32], dimension: usize) -> Result<()> {
        require_dimension(dimension)?;
        let count = require_rows("queries", dimension, values.len())?;
        self.dimension = dimension;
        self.queries.reserve(count);
        self.groups.reserve(count * self.width());
        let mut codes = vec![0; dimension.next_multiple_of(GROUP)];
        for row in 0..count {
            let values = &values[row * dimension..(row + 1) * dimension];
            let quantised = cpu.run(Quantise {
                values,
                codes: &mut codes[..dimension],
            });
            self.queries
                .push(quantised.ok_or(Error::NotFinite { row })?);
            let (groups, _) = codes.as_chunks::<GROUP>();
            let groups = groups.iter().map(|group| group.map(i8::cast_unsigned));
            self.groups.extend(groups.map(i32::from_le_bytes));
        }
        Ok(())
    }

    /// Groups of four codes of a query.
    pub(super) fn width(&self) -> usize {
        self.dimension.div_ceil(GROUP)
    }

    /// The codes of a query.
    pub(super) fn groups(&self, query: usize) -> &[i32] {
        &self.groups[query * self.width()..(query + 1) * self.width()]
    }

    /// A query besides its codes.
    pub(super) fn quantised(&self, query: usize) -> &Quantised {
        &self.queries[query]
    }

    /// Components of a query.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Queries.
    pub fn len(&self) -> usize {
        self.queries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    /// At least the Euclidean norm of a rounded query; `None` if there is no such query.
    pub fn norm(&self, query: usize) -> Option<f32> {
        self.queries.get(query).map(|query| query.norm)
    }

    /// At least the Euclidean norm of what rounding took from a query; `None` if there is no such
    /// query.
    pub fn error(&self, query: usize) -> Option<f32> {
        self.queries.get(query).map(|query| query.error)
    }
}

impl fmt::Debug for ByteQueries {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ByteQueries")
            .field("dimension", &self.dimension)
            .field("len", &self.len())
            .finish()
    }
}
