//! NVIDIA cards: how their driver is used, and kernels for what Candle has none for.

mod error;
mod fused;
mod kernels;
mod launch;
mod paged_attention;
mod stream;

pub use error::CardError;
pub use fused::{Gate, SoftmaxShape, Turn};
pub use kernels::{CardKernels, CardNumber, Turned};
pub use paged_attention::PagedShape;
pub use stream::{keep_to_one_stream, unused_pool_memory};
