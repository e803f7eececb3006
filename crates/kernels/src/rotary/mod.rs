//! Rotary position embeddings (Su et al. 2021, <https://arxiv.org/abs/2104.09864>): pairs of a
//! head's components turned by an angle that grows with the token's position.
//!
//! Queries and keys lie inside the rows of a fused product, so heads are rotated where they lie.
//! The caller brings cosines and sines, a row a token: how the angles are scaled for long contexts
//! is the model's affair. Models differ in which components make a pair, hence [`RotaryLayout`].

mod rotate;
#[cfg(test)]
mod tests;

pub use rotate::{HeadRows, RotaryLayout, rotate};
