//! From files to text: loaders, one file a format, and recursive character splitting.
//!
//! A loader turns bytes into [`Document`]s; [`Splitter`] turns a document's text into overlapping
//! pieces that an embedding model can take. Nothing here knows a model or a database.

mod document;
mod error;

pub use document::{Document, Metadata};
pub use error::{Error, Result};
