//! What can go wrong between a file and its pixels. Every message names the picture.

use std::fmt;
use std::sync::Arc;

use crate::Format;

/// The result of reading and decoding pictures.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a decoder, kept as it is.
pub(crate) type DecoderError = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong between a file and its pixels.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such file.
    #[error("picture {name}: there is no such file")]
    Missing {
        /// The picture.
        name: Arc<str>,
    },

    /// The path leads to a directory.
    #[error("picture {name} is a directory")]
    Directory {
        /// The picture.
        name: Arc<str>,
    },

    /// The path leads to a pipe or a device, of which nobody knows when it ends.
    #[error("picture {name} is not a regular file")]
    NotAFile {
        /// The picture.
        name: Arc<str>,
    },

    /// The file is there and cannot be read.
    #[error("picture {name} cannot be read")]
    Unreadable {
        /// The picture.
        name: Arc<str>,
        /// Why.
        source: std::io::Error,
    },

    /// An address on the network. Nothing is fetched from there.
    #[error(
        "picture {name} is an address on the network, and pictures are not fetched from the network; \
         give a file or a data URL"
    )]
    Remote {
        /// The picture.
        name: Arc<str>,
    },

    /// What should be a data URL of a picture is none.
    #[error("picture {name} is not a usable data URL: {reason}")]
    DataUrl {
        /// The picture.
        name: Arc<str>,
        /// What is wrong with it.
        reason: String,
    },

    /// The file is larger than allowed; no more of it was read.
    #[error("picture {name} has more than the {limit} bytes that are allowed")]
    TooManyBytes {
        /// The picture.
        name: Arc<str>,
        /// The most bytes that are allowed.
        limit: u64,
    },

    /// The bytes begin like no format that is known here.
    #[error(
        "{name} is not a picture of a known format (PNG, JPEG, WebP, GIF, BMP and TIFF are known)"
    )]
    UnknownFormat {
        /// The picture.
        name: Arc<str>,
    },

    /// The header promises more than is allowed. Nothing was decoded.
    #[error("picture {name} is too large: {exceeded}")]
    TooLarge {
        /// The picture.
        name: Arc<str>,
        /// What is too large.
        exceeded: Exceeded,
    },

    /// A kind of its format that is not decoded here.
    #[error("picture {name} is a {format} of a kind that is not supported")]
    Unsupported {
        /// The picture.
        name: Arc<str>,
        /// Its format.
        format: Format,
        /// What the decoder says of it.
        source: DecoderError,
    },

    /// The file is cut off: it ends before the picture does. (Where a decoder cannot tell this from
    /// damage, it is [`Error::Malformed`].)
    #[error("picture {name} is cut off: the {format} ends before the picture does")]
    Truncated {
        /// The picture.
        name: Arc<str>,
        /// Its format.
        format: Format,
    },

    /// The bytes break the rules of their format.
    #[error("picture {name} is damaged: it does not keep to the rules of {format}")]
    Malformed {
        /// The picture.
        name: Arc<str>,
        /// Its format.
        format: Format,
        /// What the decoder says of it.
        source: DecoderError,
    },
}

/// Which limit a picture exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exceeded {
    /// A side.
    Side {
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
        /// The most pixels that a side may have.
        limit: u32,
    },
    /// All pixels together.
    Pixels {
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
        /// The most pixels that are allowed.
        limit: u64,
    },
    /// What decoding would take in memory.
    Memory {
        /// The most bytes that decoding may take.
        limit: u64,
    },
}

impl fmt::Display for Exceeded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Side {
                width,
                height,
                limit,
            } => write!(
                formatter,
                "it has {width} x {height} pixels, and a side may have {limit}"
            ),
            Self::Pixels {
                width,
                height,
                limit,
            } => write!(
                formatter,
                "it has {width} x {height} pixels, and {limit} are allowed in all"
            ),
            Self::Memory { limit } => write!(
                formatter,
                "decoding it takes more than the {limit} bytes of memory that are allowed"
            ),
        }
    }
}
