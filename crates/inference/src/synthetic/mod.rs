//! Models of any shape with made-up weights: what a benchmark needs of a model that is not here.
//!
//! How fast a model computes does not depend on what its weights are, as long as they are numbers of a usual size. A
//! text model's matrices all read the same stretch of memory, as long as the largest of them needs, so that a model
//! of 16 GB costs no more than one matrix until it is loaded. Encoders and vision halves, which are small, are
//! written as folders.

mod encoder;
mod folder;
mod random;
mod text;
mod vision;
mod weights;

pub use encoder::EncoderShape;
pub use text::TextShape;
pub use vision::VisionShape;
pub use weights::WeightType;

#[cfg(test)]
mod tests;
