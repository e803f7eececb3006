//! All the documents below a directory.
//!
//! One bad file must not hide the others, nor vanish: what loads is returned beside what failed and
//! what no loader takes. [`list_directory`] does only the walk, for a caller that wants to load a
//! large tree file by file. Files come in the order of their names, so that two runs agree.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use walkdir::{DirEntry, WalkDir};

use crate::{Document, Error, LoadOptions, Result, load_path};

/// What a directory held.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct DirectoryLoad {
    /// The documents of every file that loaded.
    pub documents: Vec<Document>,
    /// Why the other files, or parts of the tree, did not.
    pub failures: Vec<Error>,
    /// Files of a format that no loader takes.
    pub skipped: Vec<PathBuf>,
}

/// The files of a directory.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct DirectoryListing {
    /// The files that match.
    pub files: Vec<PathBuf>,
    /// What could not be looked at: unreadable folders, dangling links, loops of links.
    pub failures: Vec<Error>,
}

/// Loads every file below `path` whose path from there matches `glob`, as [`load_path`] does.
///
/// `**/*` matches all, `*.pdf` those directly in the directory, `**/*.pdf` those at any depth,
/// `**/*.{md,txt}` two kinds. Hidden files and folders (names with a leading dot) are left out.
/// Symbolic links are followed, but never in a circle.
///
/// # Errors
///
/// [`Error::BadGlob`], or [`Error::Io`] and [`Error::NotADirectory`] for `path` itself; whatever is
/// wrong below it stands in [`DirectoryLoad::failures`].
pub fn load_directory(path: &Path, glob: &str, options: &LoadOptions) -> Result<DirectoryLoad> {
    let listing = list_directory(path, glob)?;
    let mut load = DirectoryLoad {
        failures: listing.failures,
        ..DirectoryLoad::default()
    };
    for file in listing.files {
        match load_path(&file, options) {
            Ok(documents) => load.documents.extend(documents),
            Err(Error::UnsupportedFormat { path }) => load.skipped.push(path),
            Err(error) => load.failures.push(error),
        }
    }
    Ok(load)
}

/// The files that [`load_directory`] would load, in the same order.
///
/// # Errors
///
/// As [`load_directory`].
pub fn list_directory(path: &Path, glob: &str) -> Result<DirectoryListing> {
    let matcher = matcher(glob)?;
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    if !std::fs::metadata(path).map_err(io)?.is_dir() {
        return Err(Error::NotADirectory {
            path: path.to_owned(),
        });
    }
    let mut listing = DirectoryListing::default();
    let walk = WalkDir::new(path).follow_links(true).sort_by_file_name();
    for entry in walk.into_iter().filter_entry(|entry| !is_hidden(entry)) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() || !matches(&matcher, &entry, path) => {}
            Ok(entry) => listing.files.push(entry.into_path()),
            Err(error) => listing.failures.push(walk_error(path, error)),
        }
    }
    Ok(listing)
}

/// As in a shell, a single star stays within a folder.
fn matcher(glob: &str) -> Result<GlobMatcher> {
    let glob = GlobBuilder::new(glob)
        .literal_separator(true)
        .build()
        .map_err(|source| Error::BadGlob {
            glob: glob.to_owned(),
            source,
        })?;
    Ok(glob.compile_matcher())
}

fn matches(matcher: &GlobMatcher, entry: &DirEntry, root: &Path) -> bool {
    entry
        .path()
        .strip_prefix(root)
        .is_ok_and(|path| matcher.is_match(path))
}

/// The directory itself may have any name.
fn is_hidden(entry: &DirEntry) -> bool {
    entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn walk_error(root: &Path, error: walkdir::Error) -> Error {
    let path = error.path().unwrap_or(root).to_owned();
    Error::Io {
        path,
        source: error.into(),
    }
}
