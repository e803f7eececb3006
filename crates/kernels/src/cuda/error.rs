//! What can go wrong before a kernel runs on a card.

use cudarc::driver::DriverError;

/// What can go wrong before a kernel runs.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// Tensors that do not fit together.
    #[error("{0}")]
    Shape(#[from] crate::Error),
    /// Heads for which there is no kernel.
    #[error("heads of {width} components have no attention kernel")]
    Width {
        /// Components of a head.
        width: usize,
    },
    /// Heads that do not begin where they can be loaded in pieces.
    #[error("heads begin at an odd place of the card's memory")]
    Alignment,
    /// More numbers than a kernel counts.
    #[error("{count} numbers are more than a kernel for a card counts")]
    TooLarge {
        /// Numbers, or rows of them.
        count: usize,
    },
    /// What the driver says.
    #[error(transparent)]
    Driver(#[from] DriverError),
}
