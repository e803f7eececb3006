#![doc = include_str!("../README.md")]

mod bytes;
mod check;
mod error;
mod file;
mod flat;
mod ivf;
mod kinds;
mod normalise;
mod options;
mod persist;
mod rows;
mod score;
mod store;
mod tasks;
mod top_k;
mod vector_index;

pub use error::{Error, Result};
pub use kinds::{AutoIndex, FlatIndex, IvfIndex, Mirror, MirrorError, MirroredIndex, Scan, Tuning};
pub use options::{Codes, IvfOptions, Search};
pub use vector_index::{Hit, Memory, Metric, VectorIndex};
