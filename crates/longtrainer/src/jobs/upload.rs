//! Files that are sent in. They lie in a folder of their own, under numbers, until a job has read
//! them; what their sender calls them is a name in the documents and never one on the disk.

use std::fs::File;
use std::path::{Path, PathBuf};

use longtrainer_documents::{LoadOptions, load_bytes};
use tempfile::TempDir;

use crate::documents::Document;
use crate::error::{Error, Result};
use crate::ids::BotId;
use crate::jobs::task::{IngestSource, JobTask};
use crate::trainer::LongTrainer;

/// Most bytes of a file's name that are kept.
const MAX_NAME_BYTES: usize = 255;

/// Files on their way in. Dropped before it has become a job, it leaves nothing behind.
#[derive(Debug)]
pub struct Upload {
    folder: TempDir,
    id: String,
    names: Vec<String>,
}

impl Upload {
    /// A new, empty file of the upload. `name` is what its sender calls it; of a path the last part
    /// counts.
    ///
    /// # Errors
    ///
    /// [`Error::FileName`] if nothing usable is left of the name, and [`Error::Io`].
    pub fn create_file(&mut self, name: &str) -> Result<File> {
        let name = file_name_of(name).ok_or_else(|| Error::FileName {
            name: name.chars().take(64).collect(),
        })?;
        let path = self.folder.path().join(self.names.len().to_string());
        let file = File::create_new(&path).map_err(|source| Error::Io {
            action: "create",
            path,
            source,
        })?;
        self.names.push(name);
        Ok(file)
    }

    /// Number of files.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// A file name out of what a sender calls a file: the last part of a path of any system, without
/// what no name should hold. `None` if nothing is left.
pub fn file_name_of(sent: &str) -> Option<String> {
    let last = sent.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|c| !c.is_control()).collect();
    let clean = clean.trim();
    let is_name = !clean.is_empty() && clean.chars().any(|c| c != '.');
    (is_name && clean.len() <= MAX_NAME_BYTES).then(|| clean.to_owned())
}

impl LongTrainer {
    /// Begins to take files in.
    pub fn begin_upload(&self) -> Result<Upload> {
        let uploads = self.inner.data_dir.uploads();
        let folder = tempfile::Builder::new()
            .prefix("upload-")
            .tempdir_in(&uploads)
            .map_err(|source| Error::Io {
                action: "create a folder in",
                path: uploads,
                source,
            })?;
        let name = folder.path().file_name().unwrap_or_default();
        Ok(Upload {
            id: name.to_string_lossy().into_owned(),
            folder,
            names: Vec::new(),
        })
    }

    /// Makes a job of an upload whose files are whole. `replaces` and `build` are those of
    /// [`JobTask::Ingest`]. What has been written must have reached the disk.
    pub fn begin_upload_job(
        &self,
        upload: Upload,
        bot_id: BotId,
        replaces: Option<u64>,
        build: bool,
    ) -> Result<longtrainer_store::JobRecord> {
        let Upload { folder, id, names } = upload;
        sync_folder(folder.path())?;
        sync_folder(&self.inner.data_dir.uploads())?;
        let sources = names.into_iter().enumerate();
        let task = JobTask::Ingest {
            bot_id,
            sources: sources
                .map(|(number, name)| IngestSource::Upload {
                    upload: id.clone(),
                    number,
                    name,
                })
                .collect(),
            replaces,
            build,
        };
        let job = self.begin_job(&task)?;
        // From here on the files are the job's.
        let _ = folder.keep();
        Ok(job)
    }

    /// Where a file of an upload lies.
    pub(crate) fn upload_file(&self, upload: &str, number: usize) -> PathBuf {
        self.inner
            .data_dir
            .uploads()
            .join(upload)
            .join(number.to_string())
    }

    /// The documents of a file that was sent in, under the name that its sender gave it.
    pub(crate) fn read_upload(
        &self,
        upload: &str,
        number: usize,
        name: &str,
    ) -> Result<Vec<Document>> {
        let path = self.upload_file(upload, number);
        let bytes = std::fs::read(&path).map_err(|source| Error::Io {
            action: "read",
            path,
            source,
        })?;
        Ok(load_bytes(name, &bytes, &LoadOptions::default())?)
    }
}

/// Sees to it that the names of a folder outlive a loss of power.
fn sync_folder(folder: &Path) -> Result<()> {
    // Elsewhere a folder cannot be opened, and its names are safe without.
    if cfg!(unix) {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| Error::Io {
                action: "sync",
                path: folder.to_owned(),
                source,
            })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_path_only_the_name_is_left() {
        for (sent, name) in [
            ("notes.txt", "notes.txt"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\x\\report.pdf", "report.pdf"),
            ("a\0b\n.md", "ab.md"),
            (" über uns.docx ", "über uns.docx"),
            (".env", ".env"),
        ] {
            assert_eq!(file_name_of(sent).as_deref(), Some(name), "{sent:?}");
        }
        for sent in [
            "",
            ".",
            "..",
            "a/..",
            "dir/",
            "\0\0",
            "  ",
            &"x".repeat(256),
        ] {
            assert_eq!(file_name_of(sent), None, "{sent:?}");
        }
    }
}
