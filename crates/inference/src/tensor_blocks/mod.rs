//! What encoders of texts and of frames are built of, over Candle's tensors: attention among all tokens of a text or
//! all patches of a frame, feed-forward parts, and layer norms, in f32 or in 16 bits.
//!
//! They are laid out for cards, where the products are so fast that what stands between them costs more: each launch,
//! and above all each operation on tensors that do not lie one after the other, whose shape and strides are sent to
//! the card first and whose kernel divides for every element. So there are none of these here. Biases and the mask of
//! padding are columns of the products ([`Marked`]), and heads are rows of products that are written transposed, as
//! the next product takes them ([`Attention`]).
//!
//! Products sum in f32 whatever their tensors are in, and so do the kernels of the norms and of softmax.

mod attention;
mod feed_forward;
mod loader;
mod marked;
mod norm;
#[cfg(test)]
mod tests;

pub(crate) use attention::Attention;
pub(crate) use feed_forward::{Activation, FeedForward};
pub(crate) use loader::{Loader, WeightSource};
pub(crate) use marked::{Marked, marks};
pub(crate) use norm::LayerNorm;

use candle_core::Tensor;

/// Memory of a tensor.
pub(crate) fn bytes(tensor: &Tensor) -> usize {
    tensor.elem_count() * tensor.dtype().size_in_bytes()
}
