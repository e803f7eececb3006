//! Shortlists of vectors by their short codes: which rows can still be among the k best?
//!
//! An index holds, besides its vectors, codes of them that are four ([`bytes`]) or thirty-two
//! ([`bits`]) times shorter. A scan reads the codes once, bounds each row's score from above and
//! below, compares the upper bounds with the [`Shortlist`]'s bar while they are in registers, and
//! writes only the few rows that pass; no array of all scores exists. Who asked computes the exact
//! scores of the survivors.
//!
//! Both kinds of code share one score: a number for the row, a number for the query, and the inner
//! product of the codes times a factor of the row. Sums of codes are whole numbers, and what follows
//! is the same few operations of f32 in each instruction set, so scores are equal, bit for bit,
//! whichever runs, and depend on nothing but the query, the row and its three numbers.
//!
//! The layouts of codes are part of a file format: the same bytes on each machine.

mod bits;
mod bytes;
mod positions;
mod rotation;
mod shortlist;

pub use bits::{BitQuery, BitScan, bit_block_len, encode_bits};
pub use bytes::{
    ByteQueries, ByteScan, byte_tile_len, decode_byte_row, encode_bytes, nearest_bytes,
};
pub use positions::RowIds;
pub use rotation::Rotation;
pub use shortlist::{Candidate, Shortlist};

use crate::{Error, Result};

/// Most components of a vector that has codes: sums of their products stay within 32 bits
/// (2^17 * 127 * 127 < 2^31).
pub(crate) const MOST_COMPONENTS: usize = 1 << 17;

/// That vectors of so many components can have codes.
fn require_dimension(dimension: usize) -> Result<()> {
    match dimension <= MOST_COMPONENTS {
        true => Ok(()),
        false => Err(Error::Dimension {
            dimension,
            most: MOST_COMPONENTS,
        }),
    }
}
