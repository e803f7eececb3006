//! From files to text: loaders, one file a format, and recursive character splitting.
//!
//! A loader turns bytes into [`Document`]s; [`Splitter`] turns a document's text into overlapping
//! pieces that an embedding model can take. Nothing here knows a model or a database.
//!
//! A file is loaded whole or not at all: what is damaged, too large, encrypted, empty or not what
//! its name says is an [`Error`] that names the file, and no content of a file makes a loader panic.
//!
//! ```
//! use longtrainer_documents::{LoadOptions, Splitter, load_bytes};
//!
//! # fn main() -> longtrainer_documents::Result<()> {
//! let documents = load_bytes("notes.md", b"# Tea\n\nSteep for 3 minutes.", &LoadOptions::default())?;
//! let pieces = Splitter::new(20, 5)?.split(&documents[0].page_content);
//! assert_eq!(pieces[0].text, "# Tea");
//! assert_eq!(pieces[1].text, "Steep for 3");
//! # Ok(())
//! # }
//! ```

mod directory;
mod document;
mod error;
mod format;
mod guard;
mod link;
mod load;
mod loaders;
mod options;
mod source;
mod splitter;

pub use directory::{DirectoryListing, DirectoryLoad, list_directory, load_directory};
pub use document::{Document, Metadata};
pub use error::{Error, ParserError, Result};
pub use link::{
    LinkError, LinkOptions, LinkPolicy, ParseNetworkError, Resolve, SystemResolver, load_link,
    load_link_with,
};
pub use load::{load_bytes, load_json, load_json_bytes, load_path};
pub use options::LoadOptions;
pub use splitter::{Piece, Splitter};
