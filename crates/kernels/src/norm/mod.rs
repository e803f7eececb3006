//! Row normalisations and the sum that goes with them in a transformer: RMS norm, layer norm and the
//! residual.
//!
//! Everything here is one thread's work over a slice of whole rows; callers share the rows out.
//! A row's result depends on that row only, so it does not matter how they are shared out. Sums of
//! squares are taken in f32: rows beyond about 1e18 overflow to infinity, as they do in the
//! frameworks that the models come from. NaN stays NaN.

mod add;
mod layer;
mod rms;
#[cfg(test)]
mod tests;

pub use add::add;
pub use layer::layer_norm;
pub use rms::rms_norm;
