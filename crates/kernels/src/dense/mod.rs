//! Products with dense weight matrices in f32, f16 or bfloat16: `y = W x` for one token or many.
//!
//! A [`DenseMatrix`] is repacked once, when it is loaded, into tiles of 16 outputs, because that is
//! the order in which every product reads it: column by column, the 16 outputs of a column in one
//! load. With a few tokens a product waits for memory, so `few` streams the weights once and widens
//! them in registers. With many it waits for arithmetic, so `many` widens a panel of weights once
//! into the first cache and multiplies it with all tokens. `dot` does that for bfloat16, and any
//! number of tokens, with the processor's own instruction, where it has one; `amx` with that of the
//! tile unit.
//!
//! Each value is one running sum over the columns in their order, from its bias on (of 32 columns at a
//! time with the tile unit), so it depends neither on the number of threads nor on the tokens beside it.

#[cfg(any(target_arch = "x86_64", test))]
mod amx;
#[cfg(test)]
mod amx_tests;
#[cfg(target_arch = "x86_64")]
mod dot;
mod element;
mod few;
mod inputs;
mod many;
mod matrix;
mod pack;
mod pairs;
mod product;
#[cfg(test)]
mod tests;

pub use matrix::{DenseFormat, DenseMatrix};
pub use product::dense_product;

pub(crate) use few::FEW;
pub(crate) use inputs::DenseInputs;

/// Outputs of a tile: the most lanes that a vector has, so that one or two vectors make a tile.
pub(crate) const TILE: usize = 16;
