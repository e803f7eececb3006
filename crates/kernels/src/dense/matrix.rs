//! A dense weight matrix, packed for products.
//!
//! The format is a field and not a type parameter: which one a model has is known only when its
//! file is read, and the choice costs one branch per task of a product.

use half::{bf16, f16};

use super::TILE;
use super::pack::{Layout, Packed, pack};
use crate::aligned::{Aligned, Number};
use crate::shape::require_length;
use crate::team::Team;
use crate::{Error, Result};

/// How the elements of a dense matrix are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DenseFormat {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of single precision.
    Bf16,
}

impl DenseFormat {
    /// Every format.
    pub const ALL: [DenseFormat; 3] = [DenseFormat::F32, DenseFormat::F16, DenseFormat::Bf16];

    /// Bytes of an element.
    pub fn element_bytes(self) -> usize {
        match self {
            DenseFormat::F32 => 4,
            DenseFormat::F16 | DenseFormat::Bf16 => 2,
        }
    }

    /// The bits that are all set in infinities and NaN, and in nothing else.
    fn exponent(self) -> u32 {
        match self {
            DenseFormat::F32 => 0x7f80_0000,
            DenseFormat::F16 => 0x7c00,
            DenseFormat::Bf16 => 0x7f80,
        }
    }
}

/// A weight matrix: a row for each output, a column for each input.
#[derive(Debug)]
pub struct DenseMatrix {
    format: DenseFormat,
    layout: Layout,
    storage: Aligned<u8>,
    finite: bool,
}

impl DenseMatrix {
    /// Packs a matrix that is stored row after row, its elements in little-endian order.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if `bytes` has another length than rows and columns call for.
    pub fn pack(
        team: &Team,
        format: DenseFormat,
        bytes: &[u8],
        rows: usize,
        columns: usize,
    ) -> Result<Self> {
        // A saturated product is longer than any slice, so it is refused as it should be.
        let expected = rows.saturating_mul(columns);
        let expected = expected.saturating_mul(format.element_bytes());
        require_length("bytes", expected, bytes.len())?;
        Ok(match format {
            DenseFormat::F32 => Self::build(team, format, rows, columns, |index| {
                let at = index * 4;
                u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
            }),
            DenseFormat::F16 | DenseFormat::Bf16 => {
                Self::build(team, format, rows, columns, |index| {
                    u16::from_le_bytes([bytes[index * 2], bytes[index * 2 + 1]])
                })
            }
        })
    }

    /// Packs f32 values, row after row, rounding them to the format: to nearest, ties to even. What
    /// is beyond the format's range becomes infinite, which [`DenseMatrix::all_finite`] tells.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if `values` has another length than rows and columns call for.
    pub fn from_f32(
        team: &Team,
        format: DenseFormat,
        values: &[f32],
        rows: usize,
        columns: usize,
    ) -> Result<Self> {
        require_length("values", rows.saturating_mul(columns), values.len())?;
        Ok(match format {
            DenseFormat::F32 => {
                Self::build(team, format, rows, columns, |index| values[index].to_bits())
            }
            DenseFormat::F16 => Self::build(team, format, rows, columns, |index| {
                f16::from_f32(values[index]).to_bits()
            }),
            DenseFormat::Bf16 => Self::build(team, format, rows, columns, |index| {
                bf16::from_f32(values[index]).to_bits()
            }),
        })
    }

    fn build<B: Number + Into<u32>>(
        team: &Team,
        format: DenseFormat,
        rows: usize,
        columns: usize,
        element: impl Fn(usize) -> B + Sync,
    ) -> Self {
        let layout = Layout::new::<B>(rows, columns, format == DenseFormat::Bf16);
        let Packed { storage, finite } = pack(team, layout, format.exponent(), element);
        Self {
            format,
            layout,
            storage,
            finite,
        }
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.layout.rows
    }

    /// Inputs.
    pub fn columns(&self) -> usize {
        self.layout.columns
    }

    /// How the elements are stored.
    pub fn format(&self) -> DenseFormat {
        self.format
    }

    /// Bytes of memory that the packed elements take.
    pub fn bytes(&self) -> usize {
        self.storage.len()
    }

    /// Whether no element is infinite or NaN.
    pub fn all_finite(&self) -> bool {
        self.finite
    }

    /// Copies a row, widened to f32: the look-up of an embedding.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if there is no such row, [`Error::Length`] if `out` has not a value for
    /// each column; `out` is then as it was.
    pub fn row(&self, index: usize, out: &mut [f32]) -> Result<()> {
        if index >= self.rows() {
            return Err(Error::OutOfRange {
                argument: "index",
                index,
                count: self.rows(),
            });
        }
        require_length("out", self.columns(), out.len())?;
        match self.format {
            DenseFormat::F32 => self.copy_row(index, out, f32::from_bits),
            DenseFormat::F16 => self.copy_row(index, out, |bits| f16::from_bits(bits).to_f32()),
            DenseFormat::Bf16 => self.copy_row(index, out, |bits| bf16::from_bits(bits).to_f32()),
        }
        Ok(())
    }

    fn copy_row<B: Number>(&self, index: usize, out: &mut [f32], widen: impl Fn(B) -> f32) {
        let tile = self.tile::<B>(index / TILE);
        for (column, value) in out.iter_mut().enumerate() {
            *value = widen(tile[self.layout.position(index % TILE, column)]);
        }
    }

    /// Tiles that hold the rows; the last may have rows of zeros beyond them.
    pub(crate) fn tiles(&self) -> usize {
        self.layout.tiles()
    }

    /// The elements of a tile, which has all columns.
    pub(super) fn tile<B: Number>(&self, tile: usize) -> &[B] {
        let length = self.layout.tile_elements::<B>();
        &self.storage.seen_as()[tile * length..(tile + 1) * length]
    }
}
