//! What can go wrong with an index.

/// The result of every call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with an index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A vector has the wrong number of components.
    #[error("a vector has {received} components, but the index holds vectors of {expected}")]
    Dimension {
        /// Components of the index's vectors.
        expected: usize,
        /// Components received.
        received: usize,
    },
}
