//! A quantised weight matrix, repacked into row tiles.

use crate::aligned::Aligned;
use crate::disjoint::Disjoint;
use crate::shape::require_length;
use crate::{Error, Result, Team};

use std::sync::atomic::{AtomicUsize, Ordering};

use super::format::{Block, BlockFormat};
use super::layout::{self, BLOCK, LayoutKind, TILE_ROWS, Tile, with_layout};

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
        let tile_bytes = with_layout!(layout, L => layout::tile_bytes::<L>(columns / BLOCK));
        let mut tiles = Aligned::zeros(tile_bytes * rows.div_ceil(TILE_ROWS));
        let bad_row = AtomicUsize::new(usize::MAX);
        let parts = Disjoint::new(&mut tiles);
        team.run(rows.div_ceil(TILE_ROWS), |tile| {
            // SAFETY: each task takes its own tile, once.
            let target = unsafe { parts.part(tile * tile_bytes, tile_bytes) };
            let first = tile * TILE_ROWS;
            let last = (first + TILE_ROWS).min(rows);
            let source = &bytes[first * row_bytes..last * row_bytes];
            if let Some(row) = pack_tile(format, source, row_bytes, target) {
                bad_row.fetch_min(first + row, Ordering::Relaxed);
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

/// Repacks up to 16 rows; the first of them that has a number that is not finite.
fn pack_tile(
    format: BlockFormat,
    source: &[u8],
    row_bytes: usize,
    target: &mut [u8],
) -> Option<usize> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut bad_row = None;
    for (row, bytes) in source.chunks_exact(row_bytes.max(1)).enumerate() {
        format.read_row(bytes, &mut blocks);
        if !blocks.iter().all(Block::is_finite) {
            bad_row = bad_row.or(Some(row));
        }
        with_layout!(format.layout(), L => {
            for (index, block) in blocks.iter().enumerate() {
                layout::put::<L>(target, blocks.len(), row, index, block);
            }
        });
    }
    bad_row
}

fn read_row<L: layout::Layout>(tile: Tile<'_>, row: usize, out: &mut [f32]) {
    for (block, out) in out.chunks_exact_mut(BLOCK).enumerate() {
        for (group, out) in out.chunks_exact_mut(BLOCK / L::GROUPS).enumerate() {
            let (scale, minimum) = tile.scale_and_minimum::<L>(block, group, row);
            let first = group * BLOCK / L::GROUPS;
            for (column, out) in (first..).zip(out) {
                let code = tile.code::<L>(block, row, column);
                let code = if L::BITS == 8 {
                    f32::from(code as i8)
                } else {
                    f32::from(code)
                };
                *out = scale * code + minimum;
            }
        }
    }
}
