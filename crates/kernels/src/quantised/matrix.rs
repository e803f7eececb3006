//! A quantised weight matrix, repacked into row tiles.
//!
//! It is made from the blocks of a file or by rounding f32, row by row on the threads of a team. The
//! layout is a field and not a type parameter: it is known only when the file is read, and costs one
//! branch a task of a product.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::aligned::Aligned;
use crate::disjoint::Disjoint;
use crate::shape::require_length;
use crate::{Error, Result, Team};

use super::format::{Block, BlockFormat};
use super::layout::{self, BLOCK, LayoutKind, TILE_ROWS, Tile};

/// A matrix of quantised weights: `rows` outputs by `columns` inputs.
#[derive(Debug)]
pub struct QuantisedMatrix {
    rows: usize,
    columns: usize,
    pub(super) layout: LayoutKind,
    tile_bytes: usize,
    tiles: Aligned<u8>,
}

impl QuantisedMatrix {
    /// Repacks the rows of a GGUF tensor, one after another in `bytes`, on the threads of the team.
    ///
    /// # Errors
    ///
    /// [`Error::Columns`] if a row is not whole blocks of the format, [`Error::Length`] if `bytes`
    /// has another length than the shape calls for, [`Error::NotFinite`] with the first row that has
    /// an infinite or NaN scale.
    pub fn pack(
        team: &Team,
        format: BlockFormat,
        bytes: &[u8],
        rows: usize,
        columns: usize,
    ) -> Result<Self> {
        let block = format.block_weights();
        if !columns.is_multiple_of(block) {
            return Err(Error::Columns { columns, block });
        }
        let row_bytes = columns / block * format.block_bytes();
        require_length("bytes", rows.saturating_mul(row_bytes), bytes.len())?;
        let layout = format.layout();
        Self::build(team, layout, rows, columns, |row, blocks| {
            format.read_row(&bytes[row * row_bytes..(row + 1) * row_bytes], blocks);
        })
    }

    /// Rounds f32 weights, row after row, to bytes: a scale for each 32 neighbours of a row, as Q8_0
    /// has it. A weight moves by at most half a 127th of the greatest of its block.
    ///
    /// # Errors
    ///
    /// As [`pack`](Self::pack); a row is whole blocks of 32.
    pub fn round(team: &Team, values: &[f32], rows: usize, columns: usize) -> Result<Self> {
        if !columns.is_multiple_of(BLOCK) {
            let block = BLOCK;
            return Err(Error::Columns { columns, block });
        }
        require_length("values", rows.saturating_mul(columns), values.len())?;
        Self::build(team, LayoutKind::I8, rows, columns, |row, blocks| {
            blocks.clear();
            let (values, _) = values[row * columns..(row + 1) * columns].as_chunks();
            blocks.extend(values.iter().map(Block::round));
        })
    }

    /// Fills the tiles with the rows that `read` gives, on the threads of the team.
    fn build(
        team: &Team,
        layout: LayoutKind,
        rows: usize,
        columns: usize,
        read: impl Fn(usize, &mut Vec<Block>) + Sync,
    ) -> Result<Self> {
        let tile_bytes = with_layout!(layout, L => layout::tile_bytes::<L>(columns / BLOCK));
        let mut tiles = Aligned::zeros(tile_bytes * rows.div_ceil(TILE_ROWS));
        let bad_row = AtomicUsize::new(usize::MAX);
        let parts = Disjoint::new(&mut tiles);
        team.run(rows.div_ceil(TILE_ROWS), |tile| {
            // SAFETY: each task takes its own tile, once.
            let target = unsafe { parts.part(tile * tile_bytes, tile_bytes) };
            let mut blocks = Vec::with_capacity(columns / BLOCK);
            for row in tile * TILE_ROWS..rows.min((tile + 1) * TILE_ROWS) {
                read(row, &mut blocks);
                if !blocks.iter().all(Block::is_finite) {
                    bad_row.fetch_min(row, Ordering::Relaxed);
                }
                with_layout!(layout, L => put_row::<L>(target, row % TILE_ROWS, &blocks));
            }
        });
        match bad_row.into_inner() {
            usize::MAX => Ok(Self {
                rows,
                columns,
                layout,
                tile_bytes,
                tiles,
            }),
            row => Err(Error::NotFinite { row }),
        }
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Memory of the weights.
    pub fn bytes(&self) -> usize {
        self.tiles.len()
    }

    /// The weights of a row, as f32: what an embedding looks up.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if there is no such row, [`Error::Length`] if `out` is not a row long.
    pub fn row(&self, row: usize, out: &mut [f32]) -> Result<()> {
        if row >= self.rows {
            return Err(Error::OutOfRange {
                argument: "row",
                index: row,
                count: self.rows,
            });
        }
        require_length("out", self.columns, out.len())?;
        let tile = row / TILE_ROWS;
        with_layout!(self.layout, L => read_row::<L>(self.tile::<L>(tile), row % TILE_ROWS, out));
        Ok(())
    }

    /// How many row tiles there are.
    pub(crate) fn tile_count(&self) -> usize {
        self.rows.div_ceil(TILE_ROWS)
    }

    /// A row tile. `L` is the matrix's layout.
    pub(super) fn tile<L: layout::Layout>(&self, tile: usize) -> Tile<'_> {
        let bytes = &self.tiles[tile * self.tile_bytes..(tile + 1) * self.tile_bytes];
        Tile::new::<L>(bytes, self.columns / BLOCK)
    }
}

/// Writes a row into its tile.
fn put_row<L: layout::Layout>(tile: &mut [u8], row: usize, blocks: &[Block]) {
    for (index, block) in blocks.iter().enumerate() {
        layout::put::<L>(tile, blocks.len(), row, index, block);
    }
}

/// Reads a row of a tile.
fn read_row<L: layout::Layout>(tile: Tile<'_>, row: usize, out: &mut [f32]) {
    for (block, out) in out.chunks_exact_mut(BLOCK).enumerate() {
        for (group, out) in out.chunks_exact_mut(BLOCK / L::GROUPS).enumerate() {
            let (scale, minimum) = tile.scale_and_minimum::<L>(block, group, row);
            let first = group * BLOCK / L::GROUPS;
            for (column, out) in (first..).zip(out) {
                let code = L::value(tile.code::<L>(block, row, column));
                *out = scale * code as f32 + minimum;
            }
        }
    }
}
