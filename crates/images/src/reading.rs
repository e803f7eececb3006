//! Pictures from paths and data URLs, with no more read than is allowed, and nothing fetched.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use data_url::DataUrl;

use crate::{Error, Limits, Picture, Result};

impl Picture {
    /// Reads a file. The picture is called by its path.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`], [`Error::Directory`], [`Error::NotAFile`], [`Error::Unreadable`],
    /// [`Error::TooManyBytes`]; [`Error::Remote`] for an address on the network in place of a path.
    pub fn open(path: impl AsRef<Path>, limits: &Limits) -> Result<Self> {
        let path = path.as_ref();
        let name: Arc<str> = path.to_string_lossy().into();
        refuse_remote(&name, &name)?;

        check_metadata(&name, path, limits)?;
        let file = File::open(path).map_err(|error| failed_to_read(&name, error))?;
        let bytes = read_at_most(&name, file, limits.bytes)?;
        Ok(Self::new(name, bytes))
    }

    /// Takes the bytes out of a data URL (RFC 2397) of type `image/...`, in base64 or percent-encoded.
    /// Letters of either case, white space in base64 and parameters are allowed. The declared type only
    /// has to be one of pictures; what the bytes are is found out from the bytes.
    ///
    /// # Errors
    ///
    /// [`Error::DataUrl`], [`Error::TooManyBytes`]; [`Error::Remote`] for an address on the network.
    pub fn from_data_url(name: impl Into<Arc<str>>, url: &str, limits: &Limits) -> Result<Self> {
        let name = name.into();
        refuse_remote(&name, url)?;
        let bad = |reason: String| Error::DataUrl {
            name: name.clone(),
            reason,
        };

        let parsed = DataUrl::process(url.trim()).map_err(|error| bad(error.to_string()))?;
        let media_type = parsed.mime_type();
        if media_type.type_ != "image" {
            return Err(bad(format!(
                "its type is {}/{}, not image/...",
                media_type.type_, media_type.subtype
            )));
        }
        let bytes = decode_at_most(&name, &parsed, limits.bytes)?;
        if bytes.is_empty() {
            return Err(bad("it holds no bytes".to_owned()));
        }
        Ok(Self::new(name, bytes))
    }
}

/// Says what it is if it is an address on the network.
fn refuse_remote(name: &Arc<str>, text: &str) -> Result<()> {
    const SCHEMES: [&str; 4] = ["http://", "https://", "ftp://", "ftps://"];
    let begins_with = |scheme: &&str| {
        text.trim_start()
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    if SCHEMES.iter().any(begins_with) {
        return Err(Error::Remote { name: name.clone() });
    }
    Ok(())
}

/// What a failure of the file system means for a picture.
fn failed_to_read(name: &Arc<str>, error: io::Error) -> Error {
    let name = name.clone();
    match error.kind() {
        io::ErrorKind::NotFound => Error::Missing { name },
        io::ErrorKind::IsADirectory => Error::Directory { name },
        _ => Error::Unreadable {
            name,
            source: error,
        },
    }
}

/// A regular file of an allowed size; looked at before it is opened, which waits at a pipe.
fn check_metadata(name: &Arc<str>, path: &Path, limits: &Limits) -> Result<()> {
    let metadata = fs::metadata(path).map_err(|error| failed_to_read(name, error))?;
    let name = name.clone();
    if metadata.is_dir() {
        return Err(Error::Directory { name });
    }
    if !metadata.is_file() {
        return Err(Error::NotAFile { name });
    }
    if metadata.len() > limits.bytes {
        return Err(Error::TooManyBytes {
            name,
            limit: limits.bytes,
        });
    }
    Ok(())
}

/// All bytes; a file can grow after its metadata was read, so they are counted again.
fn read_at_most(name: &Arc<str>, file: File, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| failed_to_read(name, error))?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooManyBytes {
            name: name.clone(),
            limit,
        });
    }
    Ok(bytes)
}

/// Decodes piece by piece, so that a long URL takes no more memory than is allowed.
fn decode_at_most(name: &Arc<str>, url: &DataUrl<'_>, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let too_many = || Error::TooManyBytes {
        name: name.clone(),
        limit,
    };
    url.decode(|piece| {
        if (bytes.len() + piece.len()) as u64 > limit {
            return Err(too_many());
        }
        bytes.extend_from_slice(piece);
        Ok(())
    })
    .map_err(|error| match error {
        data_url::forgiving_base64::DecodeError::WriteError(error) => error,
        invalid => Error::DataUrl {
            name: name.clone(),
            reason: format!("{invalid}"),
        },
    })?;
    Ok(bytes)
}
