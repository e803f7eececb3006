//! A view of some columns of a matrix: queries, keys or values inside the rows of a fused product.
//!
//! Attention reads them where the product has put them, so nothing is copied apart first.

use crate::shape::require_rows;
use crate::{Error, Result};

/// `width` values of each row, from a fixed place on; a row a token.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    values: &'a [f32],
    stride: usize,
    offset: usize,
    width: usize,
    count: usize,
}

impl<'a> Rows<'a> {
    /// The `width` values from `offset` on of each row of `values`, whose rows have `stride` values.
    ///
    /// # Errors
    ///
    /// [`Error::PartialVector`] if `values` are not whole rows, [`Error::Length`] if a row is
    /// shorter than `offset + width`.
    pub fn new(values: &'a [f32], stride: usize, offset: usize, width: usize) -> Result<Self> {
        let count = require_rows("values", stride, values.len())?;
        let end = offset.saturating_add(width);
        if end > stride {
            return Err(Error::Length {
                argument: "a row",
                expected: end,
                received: stride,
            });
        }
        Ok(Self {
            values,
            stride,
            offset,
            width,
            count,
        })
    }

    /// Whole rows of `width` values.
    ///
    /// # Errors
    ///
    /// [`Error::PartialVector`] if `values` are not whole rows.
    pub fn whole(values: &'a [f32], width: usize) -> Result<Self> {
        Self::new(values, width, 0, width)
    }

    /// The `count` rows from `first` on.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if there are fewer.
    pub fn part(&self, first: usize, count: usize) -> Result<Self> {
        let end = first.saturating_add(count);
        if end > self.count {
            return Err(Error::Length {
                argument: "rows",
                expected: end,
                received: self.count,
            });
        }
        Ok(Self {
            values: &self.values[first * self.stride..end * self.stride],
            count,
            ..*self
        })
    }

    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Values of each row that are seen.
    pub fn width(&self) -> usize {
        self.width
    }

    /// What is seen of a row; panics beyond the last.
    pub(super) fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.stride + self.offset..][..self.width]
    }
}
