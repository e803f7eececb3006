//! Blocks: signs to bits in the order of the file.
//!
//! A block holds 32 rows, and each of its lines of 64 bytes 16 components of them. Byte `16 t + r` of a
//! line has, in its low half, the bits of components `4 t` to `4 t + 3` of row `r`, the first in the
//! lowest bit, and in its high half those of row `16 + r`:
//!
//! ```text
//!         rows 0, 16   1, 17  ...  15, 31
//! components  0-3  |     |     |     |      16 bytes
//! components  4-7  |     |     |     |      16 bytes
//! components  8-11 |     |     |     |      16 bytes
//! components 12-15 |     |     |     |      16 bytes
//! ```
//!
//! So a quarter of a line looks up in one table, which is what AVX2 can do at once. AVX-512 would be a
//! sixth faster with the four quarters of a row side by side, but AVX2 by more than a third slower, and
//! AVX-512 outruns the memory either way (measured on a Zen 5 at 384 components).

use crate::Result;
use crate::scan::require_dimension;
use crate::shape::{require_length, require_rows};

/// Rows of a block.
pub(super) const BLOCK_ROWS: usize = 32;
/// Rows of which a line's low halves are; the high halves are of as many more.
pub(super) const HALF_ROWS: usize = BLOCK_ROWS / 2;
/// Components that choose from one table.
pub(super) const TABLE_COMPONENTS: usize = 4;
/// Tables of a line.
pub(super) const LINE_TABLES: usize = 4;
/// Components of a line.
pub(super) const LINE_COMPONENTS: usize = TABLE_COMPONENTS * LINE_TABLES;
/// Bytes of a line.
pub(super) const LINE_BYTES: usize = HALF_ROWS * LINE_TABLES;

/// Bytes of a block of 32 rows: four times the dimension, the dimension counted as a multiple of 16.
/// A multiple of 64.
pub fn bit_block_len(dimension: usize) -> usize {
    dimension
        .div_ceil(LINE_COMPONENTS)
        .saturating_mul(LINE_BYTES)
}

/// Keeps of rows of `dimension` components the signs: a bit is set where the component is not
/// negative (a zero of either sign sets it, NaN does not). `codes` are whole blocks, as many as the
/// rows need; what fills them up is 0.
///
/// # Errors
///
/// [`Error::PartialVector`](crate::Error::PartialVector) if `rows` are not whole rows,
/// [`Error::Dimension`](crate::Error::Dimension) if they are too long,
/// [`Error::Length`](crate::Error::Length) if `codes` are not as many blocks as the rows call for;
/// `codes` are then as they were.
pub fn encode_bits(rows: &[f32], dimension: usize, codes: &mut [u8]) -> Result<()> {
    require_dimension(dimension)?;
    let count = require_rows("rows", dimension, rows.len())?;
    require_length("codes", blocks_len(count, dimension), codes.len())?;
    if count == 0 {
        return Ok(());
    }
    codes.fill(0);
    let blocks = codes.chunks_exact_mut(bit_block_len(dimension));
    for (block, rows) in blocks.zip(rows.chunks(BLOCK_ROWS * dimension)) {
        for (r, row) in rows.chunks_exact(dimension).enumerate() {
            store(row, r, block);
        }
    }
    Ok(())
}

/// Bytes of the blocks of so many rows.
pub(super) fn blocks_len(count: usize, dimension: usize) -> usize {
    let blocks = count.div_ceil(BLOCK_ROWS);
    blocks.saturating_mul(bit_block_len(dimension))
}

/// Sets the bits of row `r` of a block that was 0.
fn store(row: &[f32], r: usize, block: &mut [u8]) {
    let shift = match r < HALF_ROWS {
        true => 0,
        false => 4,
    };
    for (table, signs) in row.chunks(TABLE_COMPONENTS).enumerate() {
        let bit = |(i, sign): (usize, &f32)| u8::from(*sign >= 0.0) << i;
        let nibble: u8 = signs.iter().enumerate().map(bit).sum();
        block[byte_of(table, r)] |= nibble << shift;
    }
}

/// Where the bits of a table's components are in a block, for a row of it.
#[inline(always)]
pub(super) fn byte_of(table: usize, r: usize) -> usize {
    let (line, t) = (table / LINE_TABLES, table % LINE_TABLES);
    line * LINE_BYTES + t * HALF_ROWS + r % HALF_ROWS
}
