//! The folder in which the client keeps what it fetches, whole or in part.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The one whole file among the client's blobs.
pub(super) fn find_blob(blobs: &Path) -> Option<PathBuf> {
    files_of(blobs)
        .into_iter()
        .find(|path| !has_extension(path, &["part", "lock"]))
}

/// Removes a partial file that cannot be continued, because the client would ask for bytes past its
/// end. Without a size that cannot be ruled out; such files are small, and begin anew.
pub(super) fn drop_useless_part(blobs: &Path, size: Option<u64>) -> Result<()> {
    let is_short = |path: &Path| {
        let whole = size.unwrap_or_default();
        std::fs::metadata(path).is_ok_and(|found| found.len() < whole)
    };
    for part in files_of(blobs) {
        if has_extension(&part, &["part"]) && !is_short(&part) {
            std::fs::remove_file(&part).map_err(Error::io("remove", &part))?;
        }
    }
    Ok(())
}

/// The files in a folder and in those below it.
fn files_of(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files_of(&path),
            false => vec![path],
        })
        .collect()
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| extensions.contains(&extension))
}
