//! Attention: causal over caches of keys and values (decoders), and within texts that lie one after
//! another (encoders).
//!
//! Scores exist only a tile at a time. Softmax is folded into the sums: each row keeps its greatest
//! score so far and what it has summed relative to that (Milakov and Gimelshein 2018,
//! <https://arxiv.org/abs/1805.02867>; Dao et al. 2022, <https://arxiv.org/abs/2205.14135>). Powers
//! are of two: the queries are scaled by log2(e) beforehand.
//!
//! **A row's result has the same bits whatever is computed beside it**, and whoever computes it. Each
//! page of positions is summed up by itself, from nothing, over a head's components and over positions
//! in their order; then the pages' sums are joined in the order of the pages, always by the same
//! operations. So a token's result depends on its query and on the keys and values that it looks at:
//! not on how a text is cut into steps, which other texts are in the call, or how many threads there
//! are.

mod cache;
mod causal;
mod decode;
mod join;
mod plan;
mod pool;
mod prefill;
mod product;
mod rounded;
#[cfg(test)]
mod rounded_tests;
mod rows;
mod scratch;
mod segment;
#[cfg(target_arch = "x86_64")]
mod segment_dot;
#[cfg(test)]
mod sharing_tests;
mod step;
#[cfg(test)]
mod tests;
mod tile;
mod weights;

pub use cache::KeyValueCache;
pub use causal::{CausalAttention, Sequence, causal_attention};
pub use pool::{CacheShape, PAGE_TOKENS, PagePool, SharedPage};
pub use rounded::rounded_segment_attention;
pub use rows::Rows;
pub use segment::segment_attention;
pub use step::CacheStep;
