//! The folder that a file stands in. A file is not safe with its bytes alone: its name must reach
//! the disk too, and that is kept in the folder.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of a file.
pub(crate) fn of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes the name of a new file last, where the system lets a folder be synced.
pub(crate) fn sync_folder(file: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(of(file))?.sync_all()?;
    }
    Ok(())
}
