//! Tiles: vectors to codes in the order of the file, and back.

use crate::isa::Supported;
use crate::scan::require_dimension;
use crate::shape::{require_length, require_rows};
use crate::{Error, Result};

use super::quantise::Quantise;

/// Rows of a tile.
pub(super) const TILE_ROWS: usize = 16;
/// Components of a row that lie together.
pub(super) const GROUP: usize = 4;
/// Bytes of a group of components of all rows of a tile.
pub(super) const GROUP_BYTES: usize = TILE_ROWS * GROUP;
/// The byte of code 0.
pub(super) const ZERO: u8 = 128;

/// Bytes of a tile of 16 rows: 16 times the dimension, the dimension counted as a multiple of 4. A
/// multiple of 64.
pub fn byte_tile_len(dimension: usize) -> usize {
    dimension.div_ceil(GROUP).saturating_mul(GROUP_BYTES)
}

/// Rounds rows of `dimension` components to codes of a byte, with one scale a row: a row is its
/// `scales` times its codes and an error whose Euclidean norm is at most its `errors`. `codes` are
/// whole tiles, as many as the rows need. Codes, scales and errors are the same in all tiers.
///
/// # Errors
///
/// [`Error::PartialVector`] if `rows` are not whole rows, [`Error::Dimension`] if they are too long,
/// [`Error::Length`] if an output has not as many values as the rows call for; [`Error::NotFinite`]
/// if a row has an infinite component or one that is not a number: what was written before is then
/// without meaning.
pub fn encode_bytes(
    rows: &[f32],
    dimension: usize,
    codes: &mut [u8],
    scales: &mut [f32],
    errors: &mut [f32],
) -> Result<()> {
    encode_on(Supported::active(), rows, dimension, codes, scales, errors)
}

pub(super) fn encode_on(
    cpu: Supported,
    rows: &[f32],
    dimension: usize,
    codes: &mut [u8],
    scales: &mut [f32],
    errors: &mut [f32],
) -> Result<()> {
    require_dimension(dimension)?;
    let count = require_rows("rows", dimension, rows.len())?;
    require_length("codes", tiles_len(count, dimension), codes.len())?;
    require_length("scales", count, scales.len())?;
    require_length("errors", count, errors.len())?;
    if count == 0 {
        return Ok(());
    }
    codes.fill(ZERO);
    let mut row_codes = vec![0; dimension.next_multiple_of(GROUP)];
    let tiles = codes.chunks_exact_mut(byte_tile_len(dimension));
    for (number, (tile, rows)) in tiles.zip(rows.chunks(TILE_ROWS * dimension)).enumerate() {
        for (r, values) in rows.chunks_exact(dimension).enumerate() {
            let row = number * TILE_ROWS + r;
            let codes = &mut row_codes[..dimension];
            let quantised = cpu
                .run(Quantise { values, codes })
                .ok_or(Error::NotFinite { row })?;
            (scales[row], errors[row]) = (quantised.scale, quantised.error);
            store(&row_codes, r, tile);
        }
    }
    Ok(())
}

/// Bytes of the tiles of so many rows.
pub(super) fn tiles_len(count: usize, dimension: usize) -> usize {
    let tiles = count.div_ceil(TILE_ROWS);
    tiles.saturating_mul(byte_tile_len(dimension))
}

/// Puts whole groups of codes into their places in row `r` of a tile.
fn store(codes: &[i8], r: usize, tile: &mut [u8]) {
    let (from, _) = codes.as_chunks::<GROUP>();
    let (to, _) = tile.as_chunks_mut::<GROUP_BYTES>();
    for (from, to) in from.iter().zip(to) {
        let stored = from.map(|code| code.cast_unsigned() ^ ZERO);
        to[r * GROUP..(r + 1) * GROUP].copy_from_slice(&stored);
    }
}

/// A row as its codes and its scale give it.
///
/// # Errors
///
/// [`Error::Dimension`] if the dimension is more than any codes have; [`Error::PartialVector`] if
/// `codes` are not whole tiles, [`Error::OutOfRange`] if they have no such row, [`Error::Length`] if
/// `out` has not `dimension` values.
pub fn decode_byte_row(
    codes: &[u8],
    dimension: usize,
    row: usize,
    scale: f32,
    out: &mut [f32],
) -> Result<()> {
    require_dimension(dimension)?;
    require_length("out", dimension, out.len())?;
    let tile_len = byte_tile_len(dimension);
    let count = TILE_ROWS * require_rows("codes", tile_len, codes.len())?;
    if row >= count {
        return Err(Error::OutOfRange {
            argument: "row",
            index: row,
            count,
        });
    }
    let tile = &codes[row / TILE_ROWS * tile_len..][..tile_len];
    let (groups, _) = tile.as_chunks::<GROUP_BYTES>();
    let first = row % TILE_ROWS * GROUP;
    for (values, group) in out.chunks_mut(GROUP).zip(groups) {
        for (value, code) in values.iter_mut().zip(&group[first..first + GROUP]) {
            *value = scale * f32::from((code ^ ZERO).cast_signed());
        }
    }
    Ok(())
}
