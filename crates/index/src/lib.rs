//! Vectors and their ids, and the nearest ones to a query: exact flat search, and the file that
//! keeps it.
//!
//! [`VectorIndex`] is what the facade knows; [`FlatIndex`] compares a query with every vector.

mod error;
mod vector_index;

pub use error::{Error, Result};
pub use vector_index::{Hit, Metric, VectorIndex};
