//! Removing a model: the files that a pull would write, and nothing else.

use std::path::Path;

use crate::entry::ModelEntry;
use crate::error::{Error, Result};
use crate::local_model::join;
use crate::lock::ModelLock;
use crate::place::temporary_path;
use crate::registry::Registry;
use crate::source::clear_work;

impl Registry {
    /// Removes a model's own files and what an interrupted pull left; returns the bytes freed.
    ///
    /// Files that lie loose in the models folder, files in the model's folder that the list of
    /// models does not name, and a folder that is a link to elsewhere belong to the user and stay
    /// (of such a link, the link itself goes).
    ///
    /// # Errors
    ///
    /// [`Error::UnknownModel`]; [`Error::Io`] if a file cannot be removed.
    pub fn remove(&self, name: &str) -> Result<u64> {
        let entry = self.entry(name)?;
        let folder = self.own_folder(entry);
        let Ok(found) = std::fs::symlink_metadata(&folder) else {
            return Ok(0);
        };
        let _lock = ModelLock::acquire(&self.lock_file(entry), || {
            tracing::info!(model = name, "waiting for a pull to end before removing");
        })?;
        let freed = if found.is_symlink() {
            remove_file(&folder)?
        } else {
            remove_own_files(entry, &folder)?
        };
        remove_file(&self.stamps_file(entry))?;
        remove_file(&self.first_seen_file(entry))?;
        Ok(freed)
    }
}

fn remove_own_files(entry: &ModelEntry, folder: &Path) -> Result<u64> {
    let mut freed = 0;
    for file in &entry.files {
        let path = join(folder, &file.path);
        freed += remove_file(&path)? + remove_file(&temporary_path(&path))?;
    }
    freed += clear_work(folder)?;
    for file in &entry.files {
        remove_empty_folders(join(folder, &file.path).parent(), folder);
    }
    Ok(freed)
}

/// Removes a file, or a link without what it points to; nothing if there is none.
fn remove_file(path: &Path) -> Result<u64> {
    let Ok(found) = std::fs::symlink_metadata(path) else {
        return Ok(0);
    };
    std::fs::remove_file(path).map_err(Error::io("remove", path))?;
    Ok(if found.is_symlink() { 0 } else { found.len() })
}

/// Removes the folders from `from` up to `top` as far as they are empty.
fn remove_empty_folders(mut from: Option<&Path>, top: &Path) {
    while let Some(folder) = from {
        // Fails, as it should, on a folder in which the user keeps something.
        if !folder.starts_with(top) || std::fs::remove_dir(folder).is_err() {
            return;
        }
        from = folder.parent();
    }
}
