//! The files of safetensors of a folder: one, or several with an index that names them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use longtrainer_kernels::MappedFile;
use safetensors::tensor::{Metadata, SafeTensorError, SafeTensors};

use super::HubFolder;
use crate::{Error, Result};

const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// A file of tensors, mapped, and the table of what is in it.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) path: PathBuf,
    pub(super) map: MappedFile,
    pub(super) tensors: Metadata,
    /// Where the data begins, from which the table's offsets count.
    pub(super) data: u64,
}

/// Opens all files of weights. The table of each is checked against the length of its file.
pub(super) fn open(folder: &HubFolder) -> Result<Vec<Shard>> {
    if folder.file(WHOLE).exists() {
        return Ok(vec![shard(folder.file(WHOLE))?]);
    }
    let Some(index) = folder.optional(INDEX)? else {
        return Err(Error::BadModel {
            path: folder.path.clone(),
            problem: format!("it has neither {WHOLE} nor {INDEX}"),
        });
    };
    let map = index.section("weight_map")?;
    let map = map.ok_or_else(|| index.missing("weight_map"))?;
    let mut names = BTreeSet::new();
    for tensor in map.field_names() {
        let file = map.string(tensor)?.unwrap_or_default();
        if !is_plain(file) {
            return Err(map.bad(
                tensor,
                &format!("names {file:?}, which is no file of the folder"),
            ));
        }
        names.insert(file);
    }
    let shards = names.iter().map(|name| shard(folder.file(name)));
    let shards = shards.collect::<Result<Vec<_>>>()?;
    for tensor in map.field_names() {
        if !shards
            .iter()
            .any(|shard| shard.tensors.info(tensor).is_some())
        {
            return Err(Error::BadTensor {
                path: map.path().to_owned(),
                tensor: tensor.to_owned(),
                problem: "the index has it, but no file".to_owned(),
            });
        }
    }
    Ok(shards)
}

/// Whether a name stays inside the folder.
fn is_plain(name: &str) -> bool {
    name.ends_with(".safetensors") && !name.contains(['/', '\\', ':'])
}

fn shard(path: PathBuf) -> Result<Shard> {
    let file = fs::metadata(&path).and_then(|metadata| match metadata.is_file() {
        true => File::open(&path),
        false => Err(io::Error::other("it is not a file")),
    });
    let map = file.and_then(|file| MappedFile::new(&file));
    let map = map.map_err(|source| Error::Read {
        path: path.clone(),
        source,
    })?;
    match SafeTensors::read_metadata(map.all()) {
        Ok((header, tensors)) => Ok(Shard {
            path,
            map,
            tensors,
            data: header as u64 + 8,
        }),
        Err(SafeTensorError::MetadataIncompleteBuffer) => Err(Error::BadModel {
            path,
            problem: "its tensors do not end where the file does: it is cut off or damaged"
                .to_owned(),
        }),
        Err(error) => Err(Error::BadModel {
            path,
            problem: format!("it is not a file of safetensors: {error}"),
        }),
    }
}
