//! Puts an index file in its place: written beside it, read back, and only then renamed.
//!
//! Until the rename the old file is untouched; what was begun is removed when anything fails. A
//! process that is killed cannot do that, so each save removes what such processes left.

use std::fs::{self, DirEntry, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use tempfile::{Builder, NamedTempFile};

use super::container::{Container, check_endianness};
use super::fault::Fault;
use super::header::Fields;
use super::write::{self, SectionSource};
use crate::{Error, Result};

/// What the names of files begin with that are not finished.
const UNFINISHED: &str = ".longtrainer-index-";
/// How long after its last change an unfinished file belongs to nobody.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Puts a file with these sections at `path`, in one step or not at all. Only its owner may read
/// it; a link at `path` is replaced, not followed.
///
/// # Errors
///
/// [`Error::Write`] if the operating system refuses; [`Error::Unverified`] if what was written does
/// not read back, which is also what becomes of two sections of one kind; [`Error::BigEndian`] on
/// processors that do not hold numbers as the file does.
pub(crate) fn write_container(
    path: &Path,
    fields: &Fields,
    sections: &[SectionSource<'_>],
) -> Result<()> {
    check_endianness(path)?;
    let folder = folder_of(path);
    let failed = |source| Fault(path).write(source);
    remove_abandoned(folder);
    let file = write_beside(folder, fields, sections).map_err(failed)?;
    verify(&file, path)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    synchronise(folder).map_err(failed)
}

/// Writes a new file in `folder`, down to the disk.
fn write_beside(
    folder: &Path,
    fields: &Fields,
    sections: &[SectionSource<'_>],
) -> io::Result<NamedTempFile> {
    let mut sections = sections.to_vec();
    sections.sort_by_key(|section| section.number);
    let mut file = Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
    write::write(&mut file, fields, &sections)?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn verify(file: &NamedTempFile, path: &Path) -> Result<()> {
    let written = Container::open(file.path());
    written
        .and_then(|container| container.verify())
        .map_err(|source| Error::Unverified {
            path: path.to_owned(),
            source: Box::new(source),
        })
}

/// Removes unfinished files that nobody has written to for long. That they lie there harms nobody,
/// so neither does a failure.
fn remove_abandoned(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(is_abandoned) {
        let _ = fs::remove_file(entry.path());
    }
}

fn is_abandoned(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    if !name.to_string_lossy().starts_with(UNFINISHED) {
        return false;
    }
    let is_old = |metadata: fs::Metadata| {
        let age = metadata
            .modified()
            .ok()
            .and_then(|time| time.elapsed().ok());
        metadata.is_file() && age.is_some_and(|age| age > ABANDONED_AFTER)
    };
    entry.metadata().is_ok_and(is_old)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the rename itself durable. Only Unix lets a folder be opened for this.
fn synchronise(folder: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => File::open(folder)?.sync_all(),
        false => Ok(()),
    }
}
