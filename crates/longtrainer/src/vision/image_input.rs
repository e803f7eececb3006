//! A picture as a caller names it: a file, bytes, or a data URL.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longtrainer_images::{Error, Limits, Picture, Result};

/// A picture to ask about. Paths and texts turn into one by themselves: a text that begins with
/// `data:` is a data URL, any other a path, relative to the working directory or absolute.
///
/// Pictures are never fetched: an address on the network is an error that says so.
#[derive(Clone, PartialEq, Eq)]
pub enum ImageInput {
    /// A file.
    Path(PathBuf),
    /// The bytes of a file.
    Bytes {
        /// What messages and records call the picture.
        name: String,
        /// The file as it would be on a disk.
        bytes: Arc<[u8]>,
    },
    /// A data URL (RFC 2397): `data:image/png;base64,...`.
    DataUrl(String),
}

impl ImageInput {
    /// Bytes under a name.
    pub fn bytes(name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self::Bytes {
            name: name.into(),
            bytes: bytes.into(),
        }
    }

    /// Reads it as picture number `number` of its message, from 1.
    ///
    /// # Errors
    ///
    /// Those of pictures: what is none, is too large, or would have to be fetched.
    pub fn picture(&self, number: usize) -> Result<Picture> {
        self.read(number, &Limits::default())
    }

    /// What messages and records call it, as picture number `number` of its question, from 1. A data
    /// URL is as long as its picture, so its number has to do.
    pub(super) fn name(&self, number: usize) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Bytes { name, .. } => name.clone(),
            Self::DataUrl(_) => format!("picture {number}"),
        }
    }

    /// Where the picture is found again, wherever the program then runs; `None` if it is no file.
    pub(super) fn absolute_path(&self) -> Option<String> {
        let Self::Path(path) = self else {
            return None;
        };
        let absolute = std::path::absolute(path).ok()?;
        // A path that is no text could not be told from another one.
        absolute.to_str().map(str::to_owned)
    }

    /// Reads the picture and looks at its beginning: what is no picture, or too large a one, is an
    /// error before any model is asked.
    pub(super) fn read(&self, number: usize, limits: &Limits) -> Result<Picture> {
        let picture = match self {
            Self::Path(path) => Picture::open(path, limits)?,
            Self::DataUrl(url) => Picture::from_data_url(self.name(number), url, limits)?,
            Self::Bytes { name, bytes } if bytes.len() as u64 > limits.bytes => {
                return Err(Error::TooManyBytes {
                    name: name.as_str().into(),
                    limit: limits.bytes,
                });
            }
            Self::Bytes { name, bytes } => Picture::new(name.as_str(), bytes.clone()),
        };
        picture.dimensions(limits)?;
        Ok(picture)
    }
}

impl fmt::Debug for ImageInput {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => formatter.debug_tuple("Path").field(path).finish(),
            Self::Bytes { name, bytes } => formatter
                .debug_struct("Bytes")
                .field("name", name)
                .field("bytes", &bytes.len())
                .finish(),
            Self::DataUrl(url) => formatter.debug_tuple("DataUrl").field(&url.len()).finish(),
        }
    }
}

impl From<PathBuf> for ImageInput {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&PathBuf> for ImageInput {
    fn from(path: &PathBuf) -> Self {
        Self::Path(path.clone())
    }
}

impl From<&Path> for ImageInput {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<String> for ImageInput {
    fn from(text: String) -> Self {
        let scheme = text.trim_start().get(..5);
        match scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
            true => Self::DataUrl(text),
            false => Self::Path(text.into()),
        }
    }
}

impl From<&str> for ImageInput {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<&String> for ImageInput {
    fn from(text: &String) -> Self {
        text.clone().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_path_unless_it_is_a_data_url() {
        for text in ["data:image/png;base64,AA==", " DATA:,x"] {
            assert_eq!(ImageInput::from(text), ImageInput::DataUrl(text.to_owned()));
        }
        for text in ["data", "data.png", "./data:x", "é.png", "http://a/b.png"] {
            assert_eq!(ImageInput::from(text), ImageInput::Path(text.into()));
        }
    }

    #[test]
    fn a_long_picture_is_not_told_byte_by_byte() {
        let input = ImageInput::bytes("a.png", vec![7; 4096]);
        assert_eq!(
            format!("{input:?}"),
            "Bytes { name: \"a.png\", bytes: 4096 }"
        );
        let url = ImageInput::from(format!("data:,{}", "x".repeat(4096)));
        assert_eq!(format!("{url:?}"), "DataUrl(4102)");
        assert_eq!(url.name(3), "picture 3");
    }
}
