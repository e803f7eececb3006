//! The small models that this program carries itself, so that it can show what it does on a machine
//! without a network.

use std::path::Path;

use crate::error::{Error, Result};
use crate::local_model::join;
use crate::place::place;
use crate::progress::Progress;
use crate::source::Request;

/// Paths of files, as the list of models gives them, and what is in them.
const FILES: [(&str, &[u8]); 2] = [
    (
        "mmproj-demo-vision-f16.gguf",
        include_bytes!("../../../../models/demo-vision/mmproj-demo-vision-f16.gguf"),
    ),
    (
        "adapter-demo-vision-f16.gguf",
        include_bytes!("../../../../models/demo-vision/adapter-demo-vision-f16.gguf"),
    ),
];

/// Writes every file of the request into the model's folder.
pub(super) fn unpack(request: &Request<'_>, progress: &mut dyn Progress) -> Result<()> {
    for file in request.files {
        let (_, mut bytes) = FILES
            .into_iter()
            .find(|(path, _)| *path == file.path)
            .ok_or_else(|| Error::NotEmbedded {
                file: file.path.clone(),
            })?;
        let destination = join(request.folder, &file.path);
        progress.begin(&file.path, file.size, 0);
        let origin = Path::new("this program").join(&file.path);
        let placed = place(&mut bytes, &origin, &destination, file, &mut |bytes| {
            progress.advance(bytes)
        });
        progress.finish();
        placed?;
    }
    Ok(())
}
