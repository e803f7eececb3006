//! What can go wrong in a kernel: the caller's slices do not fit together, or weights are no numbers.

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A slice has another length than the other arguments call for.
    #[error("{argument} has {received} values, but the other arguments call for {expected}")]
    Length {
        /// The name of the argument.
        argument: &'static str,
        /// Values that the other arguments call for.
        expected: usize,
        /// Values received.
        received: usize,
    },
    /// A slice of several vectors does not end at the end of one.
    #[error("{argument} has {received} values, which is no multiple of the dimension {dimension}")]
    PartialVector {
        /// The name of the argument.
        argument: &'static str,
        /// Components of a vector.
        dimension: usize,
        /// Values received.
        received: usize,
    },
    /// A row of a quantised matrix is not whole blocks.
    #[error("rows of {columns} values are not whole blocks of {block}")]
    Columns {
        /// Values of a row.
        columns: usize,
        /// Values of a block.
        block: usize,
    },
    /// Vectors have more components than their codes are made for.
    #[error("vectors of {dimension} components are longer than {most}")]
    Dimension {
        /// Components of a vector.
        dimension: usize,
        /// The most that there may be.
        most: usize,
    },
    /// A weight, a component, or the scale of some weights, is infinite or not a number.
    #[error("row {row} has values that are not finite numbers")]
    NotFinite {
        /// The row of the matrix or number of the vector.
        row: usize,
    },
    /// A page of a cache that comes from another pool than the others.
    #[error("page {page} is not of this cache's pool")]
    ForeignPage {
        /// Its number among the pages.
        page: usize,
    },
    /// An index is not below the number of things that it chooses from.
    #[error("{argument} is {index}, but there are {count}")]
    OutOfRange {
        /// The name of the argument.
        argument: &'static str,
        /// The index received.
        index: usize,
        /// Things to choose from.
        count: usize,
    },
}
