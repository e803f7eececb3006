//! Products of quantised weights with activations, in whole numbers.
//!
//! Weights come in the block formats of GGUF files and are repacked once, at load, into row tiles
//! ([`layout`]) whose codes an integer dot-product instruction takes as they lie. Activations are
//! rounded to bytes by block ([`rows`]). A product is then whole-number arithmetic within a block and
//! two multiplications and additions a block to scale it: up to four times the rate of f32 where the
//! instruction is, and a seventh to a quarter of the memory.

#[cfg(any(target_arch = "x86_64", test))]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod format;
// First, for its macro.
#[macro_use]
mod layout;
#[cfg(test)]
mod amx_tests;
mod matrix;
mod panel;
#[cfg(target_arch = "x86_64")]
mod prefetch;
mod product;
mod row_tiles;
mod rows;
mod scalar;
#[cfg(test)]
pub(crate) mod tests;
mod tier;

pub use format::BlockFormat;
pub use matrix::QuantisedMatrix;
pub use rows::QuantisedRows;
