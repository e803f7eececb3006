//! Attention: causal over a cache of keys and values (decoders), and within texts that lie one after
//! another (encoders).
//!
//! Scores exist only a tile at a time. Softmax is folded into the sums: each row keeps its greatest
//! score so far and what it has summed relative to that (Milakov and Gimelshein 2018,
//! <https://arxiv.org/abs/1805.02867>; Dao et al. 2022, <https://arxiv.org/abs/2205.14135>). Powers
//! are of two: the queries are scaled by log2(e) beforehand.
//!
//! A row's result is the same whichever other rows share its tile and whoever computes it: sums run
//! over a head's components and over positions in a fixed order. So no result depends on the number
//! of threads, nor on how a prompt is cut up.

mod cache;
mod causal;
mod decode;
mod page;
mod prefill;
mod product;
mod rows;
mod scratch;
mod segment;
#[cfg(test)]
mod tests;
mod tile;
mod weights;

pub use cache::KeyValueCache;
pub use causal::causal_attention;
pub use rows::Rows;
pub use segment::segment_attention;
