//! Why a picture cannot be decoded, before its name is known.

use std::error::Error as StdError;
use std::io;

use image::ImageError;
use zune_jpeg::errors::DecodeErrors;

use crate::error::DecoderError;
use crate::{Error, Exceeded, Format};

/// Why a picture cannot be decoded.
pub(super) enum Failure {
    TooLarge(Exceeded),
    Unsupported(DecoderError),
    Truncated,
    Malformed(DecoderError),
}

impl Failure {
    pub(super) fn malformed(reason: &str) -> Self {
        Self::Malformed(reason.into())
    }

    pub(super) fn unsupported(kind: &str) -> Self {
        Self::Unsupported(kind.into())
    }

    /// The same with the picture's name.
    pub(super) fn of(self, name: &str, format: Format) -> Error {
        let name = name.into();
        match self {
            Self::TooLarge(exceeded) => Error::TooLarge { name, exceeded },
            Self::Unsupported(source) => Error::Unsupported {
                name,
                format,
                source,
            },
            Self::Truncated => Error::Truncated { name, format },
            Self::Malformed(source) => Error::Malformed {
                name,
                format,
                source,
            },
        }
    }

    /// What an error of the image library means. Its memory limit was `limit`.
    pub(super) fn from_image(error: ImageError, limit: u64) -> Self {
        match error {
            ImageError::Limits(_) => Self::TooLarge(Exceeded::Memory { limit }),
            ImageError::Unsupported(kind) => Self::Unsupported(kind.into()),
            error if ends_early(&error) => Self::Truncated,
            error => Self::Malformed(error.into()),
        }
    }

    /// What an error of the JPEG library means.
    pub(super) fn from_jpeg(error: DecodeErrors) -> Self {
        match error {
            DecodeErrors::Unsupported(_) => Self::Unsupported(error.into()),
            DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => Self::Truncated,
            error => Self::Malformed(error.into()),
        }
    }
}

impl From<Exceeded> for Failure {
    fn from(exceeded: Exceeded) -> Self {
        Self::TooLarge(exceeded)
    }
}

/// A decoder that gave another number of pixels than its header promised.
pub(super) fn wrong_length() -> Failure {
    Failure::malformed("the decoder gave another number of pixels than the header promised")
}

/// Whether the file simply ended. The library hands an error of reading on as its own, without naming
/// it as the source, or wraps it in an error of the format.
fn ends_early(error: &ImageError) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = match error {
        ImageError::IoError(error) => Some(error),
        error => error.source(),
    };
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof) {
            return true;
        }
        cause = error.source();
    }
    false
}
