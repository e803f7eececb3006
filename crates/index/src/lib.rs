#![doc = include_str!("../README.md")]

mod check;
mod error;
mod file;
mod flat;
mod normalise;
mod top_k;
mod vector_index;

pub use error::{Error, Result};
pub use flat::FlatIndex;
pub use vector_index::{Hit, Metric, VectorIndex};
