//! Errors about one file, made where only its bytes are at hand.

use std::io;
use std::path::Path;

use crate::Error;

/// The file that errors name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault<'a>(pub(super) &'a Path);

impl Fault<'_> {
    pub(super) fn damaged(self, part: &'static str) -> Error {
        Error::Damaged {
            path: self.0.to_owned(),
            part,
        }
    }

    pub(super) fn not_an_index(self) -> Error {
        Error::NotAnIndex {
            path: self.0.to_owned(),
        }
    }

    pub(super) fn read(self, source: io::Error) -> Error {
        Error::Read {
            path: self.0.to_owned(),
            source,
        }
    }

    pub(super) fn write(self, source: io::Error) -> Error {
        Error::Write {
            path: self.0.to_owned(),
            source,
        }
    }

    /// Compares the length that a file must have with the one it has.
    pub(super) fn check_length(self, expected: u64, received: u64) -> Result<(), Error> {
        self.check_present(expected, received)?;
        match received == expected {
            true => Ok(()),
            false => Err(Error::TrailingBytes {
                path: self.0.to_owned(),
                expected,
                received,
            }),
        }
    }

    /// Checks that a file has at least `expected` bytes.
    pub(super) fn check_present(self, expected: u64, received: u64) -> Result<(), Error> {
        match received >= expected {
            true => Ok(()),
            false => Err(Error::Truncated {
                path: self.0.to_owned(),
                expected,
                received,
            }),
        }
    }
}
