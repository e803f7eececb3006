//! What a GGUF file is for, as llama.cpp's converters say it.

use std::path::Path;

use crate::Result;
use crate::model_file::ModelFile;

/// The architecture of `mmproj` files, whatever kind of vision half they hold.
const VISION: &str = "clip";
const ADAPTER: &str = "adapter";

/// What a GGUF file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GgufKind {
    /// A text model.
    Text,
    /// The vision half of a model, an `mmproj` file.
    Vision,
    /// An adapter.
    Adapter,
}

impl GgufKind {
    /// Reads it from the header of a file.
    ///
    /// # Errors
    ///
    /// [`Error::Read`](crate::Error::Read) and [`Error::BadModel`](crate::Error::BadModel) for what is
    /// no GGUF file.
    pub fn of(path: &Path) -> Result<Self> {
        let file = ModelFile::open(path)?;
        if file.string("general.type")? == Some(ADAPTER) {
            return Ok(Self::Adapter);
        }
        Ok(match file.string("general.architecture")? {
            Some(VISION) => Self::Vision,
            _ => Self::Text,
        })
    }
}
