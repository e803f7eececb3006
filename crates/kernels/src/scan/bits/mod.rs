//! Codes of a bit a component, and the rows that score best by them.
//!
//! A row is known by the signs of its components: after a random rotation, that is enough to tell its
//! inner product with any vector to within a bound that falls with the square root of the dimension
//! (RaBitQ; Gao and Long, *Proceedings of the ACM on Management of Data*, SIGMOD 2024). With `q` the
//! rotated query, what has to be summed for a row is
//!
//! ```text
//! T = sum over components i of q[i] * (+1 if the row's bit i is set, else -1)
//! ```
//!
//! For each four components the query has a table of the 16 sums that four signs can give, rounded to
//! a byte with one scale for all tables, and four bits of a row choose from it: a vector of table
//! look-ups at a time.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod call;
mod layout;
mod query;
mod scalar;
#[cfg(test)]
mod tests;

pub use call::BitScan;
pub use layout::{bit_block_len, encode_bits};
pub use query::BitQuery;
