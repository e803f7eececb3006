//! What can go wrong between a file and its text.
//!
//! One enum for the whole crate. A message says what is wrong in our words and names the file; what
//! a library said stays behind it as the source, so a caller that prints the chain loses nothing.

use std::path::PathBuf;
use std::time::Duration;

use crate::format::SUPPORTED;
use crate::link::LinkError;

/// The result of every call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a parser, kept as it is.
pub type ParserError = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong between a file and its text. Every variant that concerns a file names it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },

    /// A directory, a pipe or a device stands where a file is wanted.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// What is not a file.
        path: PathBuf,
    },

    /// A file stands where a directory is wanted.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// What is not a directory.
        path: PathBuf,
    },

    /// No loader takes this kind of file.
    #[error("{} is of no supported format; supported are {SUPPORTED}", path.display())]
    UnsupportedFormat {
        /// The file.
        path: PathBuf,
    },

    /// The file is larger than the options allow; it was not read.
    #[error("{} has {bytes} bytes; the limit is {limit}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        bytes: u64,
        /// The largest size that is allowed, in bytes.
        limit: u64,
    },

    /// The text in the file is longer than the options allow. A small file can hold a lot of text
    /// when it is compressed.
    #[error("{} unpacks to more than {limit} bytes", path.display())]
    TooMuchText {
        /// The file.
        path: PathBuf,
        /// The most text that is allowed, in bytes of UTF-8.
        limit: u64,
    },

    /// The file has more pages than the options allow.
    #[error("{} has {pages} pages; the limit is {limit}", path.display())]
    TooManyPages {
        /// The file.
        path: PathBuf,
        /// Its pages.
        pages: usize,
        /// The most pages that are allowed.
        limit: usize,
    },

    /// Reading the file took longer than the options allow.
    #[error("reading {} took longer than {} s", path.display(), limit.as_secs_f32())]
    TimedOut {
        /// The file.
        path: PathBuf,
        /// The longest time that is allowed.
        limit: Duration,
    },

    /// The content is not what the name of the file promises.
    #[error("{} is not {expected}{}", path.display(), seems(*found))]
    NotThisFormat {
        /// The file.
        path: PathBuf,
        /// The format that its extension stands for.
        expected: &'static str,
        /// The media type that its first bytes stand for, if they are known.
        found: Option<&'static str>,
    },

    /// The format is right, but there is no text.
    #[error("{} is empty: {reason}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What is missing, and what would help.
        reason: &'static str,
    },

    /// The file cannot be opened without a password.
    #[error("{} is encrypted and needs a password; save it without one first", path.display())]
    Encrypted {
        /// The file.
        path: PathBuf,
    },

    /// The file is damaged, cut off, or breaks the rules of its format.
    #[error("{} is not valid as {format}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The format.
        format: &'static str,
        /// What is wrong, and where.
        reason: String,
        /// What the parser said.
        source: Option<ParserError>,
    },

    /// A row of a table has another number of columns than the header.
    #[error(
        "{} line {line}: the row has {columns} columns, the header {expected}",
        path.display()
    )]
    RaggedRow {
        /// The file.
        path: PathBuf,
        /// The line on which the row begins, from 1.
        line: u64,
        /// How many columns the row has.
        columns: usize,
        /// How many the header has.
        expected: usize,
    },

    /// A jq expression does not parse, or uses a name that does not exist.
    #[error("the jq expression {expression:?} is not valid: {reason}")]
    BadJqExpression {
        /// The expression.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A jq expression failed on the content of a file.
    #[error("the jq expression {expression:?} failed on {}: {reason}", path.display())]
    JqFailed {
        /// The file.
        path: PathBuf,
        /// The expression.
        expression: String,
        /// What jq said.
        reason: String,
    },

    /// A link gave no document.
    #[error("cannot follow the link {url}")]
    Link {
        /// The link.
        url: String,
        /// Why not.
        source: LinkError,
    },

    /// A glob pattern does not parse.
    #[error("the glob pattern {glob:?} is not valid")]
    BadGlob {
        /// The pattern.
        glob: String,
        /// Why.
        source: globset::Error,
    },

    /// A splitter cannot be made with these lengths.
    #[error(
        "a chunk size of {chunk_size} and an overlap of {chunk_overlap} do not go together: \
         the overlap must be smaller than the size"
    )]
    BadChunkSize {
        /// The length of a piece, in characters.
        chunk_size: usize,
        /// How much of it is repeated, in characters.
        chunk_overlap: usize,
    },
}

/// The end of the message of [`Error::NotThisFormat`].
fn seems(found: Option<&'static str>) -> String {
    found.map_or_else(String::new, |found| format!("; it seems to be {found}"))
}
