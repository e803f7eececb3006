//! What a vision model is put together from: a vision half, a text model, and perhaps an adapter.

use std::path::{Path, PathBuf};

use longtrainer_inference::GgufKind;
use longtrainer_models::{Registry, Role};

use crate::error::{Error, Result};

/// The parts of a vision model that is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisionParts {
    /// The vision half: a folder as published on the hub, or an `mmproj` GGUF file.
    pub vision: PathBuf,
    /// The text model: a registry name, a folder or a GGUF file.
    pub text: String,
    /// The adapter that the text model needs for pictures.
    pub adapter: Option<PathBuf>,
}

impl VisionParts {
    /// The parts of a model by its name in the registry or by its place: a folder as published on the
    /// hub, which holds both halves; or, of a model in llama.cpp's GGUF files, the `mmproj` file or the
    /// folder, which must hold one text model and may hold one adapter.
    ///
    /// # Errors
    ///
    /// [`Error::ModelRole`] for a model of another role, [`Error::VisionParts`] for a folder without the
    /// parts, or with more than one that it could be, those of [`Registry::locate`] and of reading the
    /// files.
    pub fn locate(registry: &Registry, name: &str) -> Result<Self> {
        let given = Path::new(name);
        if given.is_dir() {
            return Self::of_folder(given);
        }
        if given.is_file() {
            let folder = given.parent().unwrap_or(Path::new(""));
            return Self::of_gguf_files(folder, Some(given));
        }
        Self::of_registry(registry, name)
    }

    fn of_registry(registry: &Registry, name: &str) -> Result<Self> {
        let role = registry.entry(name)?.role;
        if role != Role::Vision {
            return Err(Error::ModelRole {
                name: name.to_owned(),
                role,
                asked: Role::Vision,
            });
        }
        let local = registry.locate(name)?;
        let is_file = local.entry.weights.ends_with(".gguf");
        let folder = local.folder.display().to_string();
        Ok(Self {
            vision: match is_file {
                true => local.main_file(),
                false => local.folder.clone(),
            },
            text: local.entry.text.clone().unwrap_or(folder),
            adapter: local.entry.adapter.as_deref().map(|file| local.path(file)),
        })
    }

    fn of_folder(folder: &Path) -> Result<Self> {
        if gguf_files(folder)?.is_empty() {
            return Ok(Self {
                vision: folder.to_owned(),
                text: folder.display().to_string(),
                adapter: None,
            });
        }
        Self::of_gguf_files(folder, None)
    }

    /// `vision` is the vision half if it was named: others beside it are other models'.
    fn of_gguf_files(folder: &Path, vision: Option<&Path>) -> Result<Self> {
        let mut files = vec![];
        for path in gguf_files(folder)? {
            files.push((GgufKind::of(&path)?, path));
        }
        let of_kind = |kind| {
            let files = files.iter().filter(move |(is, _)| *is == kind);
            files.map(|(_, path)| path.clone()).collect::<Vec<_>>()
        };
        let one = |paths: Vec<PathBuf>, what| match &paths[..] {
            [path] => Ok(path.clone()),
            _ => Err(unclear(folder, &paths, what)),
        };
        let vision = match vision {
            Some(path) if !of_kind(GgufKind::Vision).iter().any(|each| each == path) => {
                return Err(unclear(path, &[], "vision half (mmproj)"));
            }
            Some(path) => path.to_owned(),
            None => one(of_kind(GgufKind::Vision), "vision half (mmproj)")?,
        };
        let text = one(of_kind(GgufKind::Text), "text model")?;
        let adapters = of_kind(GgufKind::Adapter);
        Ok(Self {
            vision,
            text: text.display().to_string(),
            adapter: match adapters.is_empty() {
                true => None,
                false => Some(one(adapters, "adapter")?),
            },
        })
    }
}

/// The GGUF files of a folder, by name.
fn gguf_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let place = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    let failed = |source| Error::Io {
        action: "read",
        path: place.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(place).map_err(failed)? {
        let path = folder.join(entry.map_err(failed)?.file_name());
        if path.extension().is_some_and(|end| end == "gguf") && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn unclear(path: &Path, found: &[PathBuf], part: &'static str) -> Error {
    let names = found.iter().filter_map(|path| path.file_name());
    let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
    Error::VisionParts {
        path: path.to_owned(),
        part,
        found: names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use longtrainer_models::RegistryOptions;

    use super::*;

    /// A header and nothing else.
    fn gguf(fields: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        bytes.extend((fields.len() as u64).to_le_bytes());
        for (key, value) in fields {
            bytes.extend((key.len() as u64).to_le_bytes());
            bytes.extend(key.as_bytes());
            bytes.extend(8u32.to_le_bytes());
            bytes.extend((value.len() as u64).to_le_bytes());
            bytes.extend(value.as_bytes());
        }
        bytes
    }

    fn text() -> Vec<u8> {
        gguf(&[("general.architecture", "llama")])
    }

    fn vision() -> Vec<u8> {
        gguf(&[("general.type", "mmproj"), ("general.architecture", "clip")])
    }

    fn adapter() -> Vec<u8> {
        gguf(&[
            ("general.type", "adapter"),
            ("general.architecture", "llama"),
        ])
    }

    fn locate(path: &Path) -> Result<VisionParts> {
        let registry = Registry::open(RegistryOptions::default()).unwrap();
        VisionParts::locate(&registry, path.to_str().unwrap())
    }

    fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    #[test]
    fn files_are_told_apart_by_what_they_say() {
        let folder = folder(&[
            ("a.gguf", vision()),
            ("b.gguf", text()),
            ("notes.txt", vec![]),
        ]);
        let path = |name: &str| folder.path().join(name);
        let expected = VisionParts {
            vision: path("a.gguf"),
            text: path("b.gguf").display().to_string(),
            adapter: None,
        };
        assert_eq!(locate(folder.path()).unwrap(), expected);
        fs::write(path("c.gguf"), adapter()).unwrap();
        let expected = VisionParts {
            adapter: Some(path("c.gguf")),
            ..expected
        };
        assert_eq!(locate(folder.path()).unwrap(), expected);
        // Another vision half beside it: which, must be said.
        fs::write(path("d.gguf"), vision()).unwrap();
        let error = locate(folder.path()).unwrap_err().to_string();
        assert!(error.contains("a.gguf, d.gguf"), "{error}");
        assert_eq!(locate(&path("a.gguf")).unwrap(), expected);
    }

    #[test]
    fn what_is_missing_or_something_else_is_named() {
        let alone = folder(&[("mmproj.gguf", vision())]);
        let error = locate(&alone.path().join("mmproj.gguf")).unwrap_err();
        assert!(error.to_string().contains("text model"), "{error}");
        let blind = folder(&[("model.gguf", text())]);
        let error = locate(&blind.path().join("model.gguf")).unwrap_err();
        assert!(error.to_string().contains("model.gguf"), "{error}");
        let broken = folder(&[("mmproj.gguf", b"GGUX".to_vec())]);
        let error = locate(broken.path()).unwrap_err();
        assert!(error.to_string().contains("mmproj.gguf"), "{error}");
    }

    #[test]
    fn a_folder_without_gguf_files_is_one_of_the_hub() {
        let folder = folder(&[("config.json", b"{}".to_vec())]);
        let parts = locate(folder.path()).unwrap();
        assert_eq!(parts.vision, folder.path());
        assert_eq!(parts.text, folder.path().display().to_string());
    }
}
