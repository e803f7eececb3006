//! Codes of a byte a component, and the rows that score best by them.
//!
//! A row is `scale * code + error` with codes of -127 to 127 and the least error that one scale for
//! the whole row allows. Queries are rounded in the same way, so that a score is a sum of products of
//! bytes, exact in whole numbers. With `x = s c + e` a row and `q = t d + f` a query,
//!
//! ```text
//! |<q, x> - s t <c, d>|  =  |<t d, e> + <f, x>|  <=  |t d| |e| + |f| |x|
//! ```
//!
//! and all four norms are at hand: of `t d` and `f` from [`ByteQueries`], of `e` from
//! [`encode_bytes`], of `x` from the vectors.
//!
//! Codes lie in tiles of 16 rows, in the order in which the instructions that multiply bytes take
//! them, with 128 added because one of the factors has to be unsigned:
//!
//! ```text
//!                  row 0         row 1               row 15
//! components 0-3 | c c c c | c c c c |  ...  | c c c c |   64 bytes
//! components 4-7 | c c c c | c c c c |  ...  | c c c c |   64 bytes
//! ```
//!
//! Components are filled up to a multiple of 4 and rows to a multiple of 16, with 128, that is 0.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod call;
mod layout;
mod quantise;
mod queries;
mod scalar;
mod sink;
#[cfg(test)]
mod tests;
mod tier;

pub use call::{ByteScan, nearest_bytes};
pub use layout::{byte_tile_len, decode_byte_row, encode_bytes};
pub use queries::ByteQueries;
