//! Activations: the nonlinear functions between a transformer's products, and softmax.
//!
//! One thread's work over a slice; callers share the rows out. Each component's result depends on
//! its own inputs only (softmax: on its row's). Infinities give what the formula gives in IEEE
//! arithmetic, and NaN stays NaN.

mod gated;
mod gelu;
mod pointwise;
mod softmax;
#[cfg(test)]
mod tests;

pub use gated::{gelu_tanh_product, silu_product};
pub use pointwise::{gelu, gelu_tanh, relu};
pub use softmax::softmax;
