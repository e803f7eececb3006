//! The settings file, `longtrainer.toml`, which `serve` and `longtrainer` both read, and the settings
//! of the server from all their sources: flags over the environment over the file over defaults.
//!
//! Every key may be left out. A key that is not known is an error, since a misspelt setting that
//! is silently ignored is worse than none.

mod error;
mod file;
mod plan;
mod serve;
mod values;

pub use error::ConfigError;
pub use file::{
    ChatSection, ChunkingSection, Config, ModelsSection, PicturesSection, RetrievalSection,
};
pub use plan::{Plan, checked};
pub use serve::ServeSection;
pub use values::{Host, Size, Time};
