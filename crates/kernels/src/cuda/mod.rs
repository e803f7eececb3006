//! NVIDIA cards: how their driver is used, and kernels for what Candle has none for.

mod fused;
mod stream;

pub use fused::{FusedError, FusedKernels, FusedNumber, Gate, SoftmaxShape, Turn, Turned};
pub use stream::{keep_to_one_stream, unused_pool_memory};
