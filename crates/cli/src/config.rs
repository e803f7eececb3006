//! The settings file, `longtrainer.toml`: what bots start from and where the server listens.
//!
//! Every key may be left out. A key that is not known is an error, since a misspelt setting that
//! is silently ignored is worse than none.

use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::path::Path;

use longtrainer::{Chunking, Defaults, KeepAlive, MemoryBudget, Sampling};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::error::CliError;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) models: ModelsSection,
    pub(crate) retrieval: RetrievalSection,
    pub(crate) chunking: ChunkingSection,
    pub(crate) chat: ChatSection,
    pub(crate) pictures: PicturesSection,
    pub(crate) server: ServerSection,
}

/// Which models are used, by registry names or paths, and how long they stay in memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ModelsSection {
    pub(crate) text: Option<String>,
    pub(crate) embedding: Option<String>,
    pub(crate) vision: Option<String>,
    pub(crate) memory_budget: Option<MemoryBudget>,
    pub(crate) keep_alive: Option<KeepAlive>,
}

/// How passages are found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetrievalSection {
    pub(crate) num_k: Option<usize>,
    pub(crate) ensemble: Option<bool>,
}

/// How documents are split, in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ChunkingSection {
    pub(crate) chunk_size: Option<usize>,
    pub(crate) chunk_overlap: Option<usize>,
}

/// How answers are made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ChatSection {
    pub(crate) max_token_limit: Option<usize>,
    pub(crate) max_answer_tokens: Option<usize>,
    pub(crate) temperature: Option<f32>,
    pub(crate) top_k: Option<usize>,
    pub(crate) top_p: Option<f32>,
    pub(crate) min_p: Option<f32>,
    pub(crate) repetition_penalty: Option<f32>,
    pub(crate) repetition_window: Option<usize>,
    pub(crate) seed: Option<u64>,
}

/// How vision chats deal with their pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PicturesSection {
    pub(crate) keep_pictures: Option<bool>,
    pub(crate) max_pictures: Option<usize>,
}

/// Where `serve` listens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerSection {
    pub(crate) host: Option<IpAddr>,
    pub(crate) port: Option<u16>,
}

impl Config {
    /// Reads a file; `None` if there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, CliError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CliError::io("read the settings file", path)(error)),
        };
        Self::parse(&text, path).map(Some)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, CliError> {
        toml::from_str(text).map_err(|source| CliError::ConfigMalformed {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// Writes the file, whole or not at all; one that exists only with `force`.
    pub(crate) fn write(&self, path: &Path, force: bool) -> Result<(), CliError> {
        let text = self.to_text()?;
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(folder).map_err(CliError::io("create the folder", folder))?;
        let mut file = NamedTempFile::new_in(folder).map_err(CliError::io("write", path))?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.as_file().sync_all())
            .map_err(CliError::io("write", path))?;
        let persisted = if force {
            file.persist(path)
        } else {
            file.persist_noclobber(path)
        };
        match persisted {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
                Err(CliError::ConfigExists {
                    path: path.to_owned(),
                })
            }
            Err(error) => Err(CliError::io("write", path)(error.error)),
        }
    }

    fn to_text(&self) -> Result<String, CliError> {
        let text =
            toml::to_string_pretty(self).map_err(|source| CliError::ConfigUnwritable { source })?;
        Ok(format!("{HEADER}{text}"))
    }

    /// The program's defaults with what the file sets.
    pub(crate) fn to_defaults(&self) -> Defaults {
        let base = Defaults::default();
        let chunking = self.chunking;
        Defaults {
            num_k: self.retrieval.num_k.unwrap_or(base.num_k),
            ensemble: self.retrieval.ensemble.unwrap_or(base.ensemble),
            chunking: Chunking {
                chunk_size: chunking.chunk_size.unwrap_or(base.chunking.chunk_size),
                chunk_overlap: chunking
                    .chunk_overlap
                    .unwrap_or(base.chunking.chunk_overlap),
            },
            max_token_limit: self.chat.max_token_limit.unwrap_or(base.max_token_limit),
            max_answer_tokens: self
                .chat
                .max_answer_tokens
                .unwrap_or(base.max_answer_tokens),
            sampling: self.chat.to_sampling(),
            text_model: self.models.text.clone(),
            embedding_model: self.models.embedding.clone(),
            vision_model: self.models.vision.clone(),
            keep_pictures: self.pictures.keep_pictures.unwrap_or(base.keep_pictures),
            max_pictures: self.pictures.max_pictures.unwrap_or(base.max_pictures),
            prompt_template: base.prompt_template,
        }
    }

    /// A file that spells `defaults` out.
    pub(crate) fn from_defaults(defaults: &Defaults, server: ServerSection) -> Self {
        let sampling = &defaults.sampling;
        Self {
            models: ModelsSection {
                text: defaults.text_model.clone(),
                embedding: defaults.embedding_model.clone(),
                vision: defaults.vision_model.clone(),
                ..ModelsSection::default()
            },
            retrieval: RetrievalSection {
                num_k: Some(defaults.num_k),
                ensemble: Some(defaults.ensemble),
            },
            chunking: ChunkingSection {
                chunk_size: Some(defaults.chunking.chunk_size),
                chunk_overlap: Some(defaults.chunking.chunk_overlap),
            },
            chat: ChatSection {
                max_token_limit: Some(defaults.max_token_limit),
                max_answer_tokens: Some(defaults.max_answer_tokens),
                temperature: Some(sampling.temperature),
                top_k: sampling.top_k,
                top_p: sampling.top_p,
                min_p: sampling.min_p,
                repetition_penalty: Some(sampling.repetition_penalty),
                repetition_window: Some(sampling.repetition_window),
                seed: sampling.seed,
            },
            pictures: PicturesSection {
                keep_pictures: Some(defaults.keep_pictures),
                max_pictures: Some(defaults.max_pictures),
            },
            server,
        }
    }
}

impl ChatSection {
    fn to_sampling(&self) -> Sampling {
        let base = Defaults::default().sampling;
        Sampling {
            temperature: self.temperature.unwrap_or(base.temperature),
            top_k: self.top_k.or(base.top_k),
            top_p: self.top_p.or(base.top_p),
            min_p: self.min_p.or(base.min_p),
            repetition_penalty: self.repetition_penalty.unwrap_or(base.repetition_penalty),
            repetition_window: self.repetition_window.unwrap_or(base.repetition_window),
            seed: self.seed.or(base.seed),
            ..base
        }
    }
}

/// The keys that a file may leave out are named here, so that nobody has to look them up.
const HEADER: &str = "\
# Settings of longtrainer. Flags win over the environment, the environment over this file, this file
# over the program's defaults; what a bot was given at its making wins over all of them.
#
# Keys that may be added: text, embedding and vision in [models] (registry names or paths),
# memory_budget (\"6GiB\") and keep_alive (\"10m\") there; top_k, top_p, min_p and seed in [chat].

";

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> String {
        match Config::parse(text, Path::new("x.toml")).unwrap_err() {
            error @ CliError::ConfigMalformed { .. } => format!("{:#}", anyhow::Error::from(error)),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let mut defaults = Defaults {
            ensemble: true,
            vision_model: Some("eyes".to_owned()),
            keep_pictures: false,
            max_pictures: 3,
            ..Defaults::default()
        };
        defaults.sampling.top_k = Some(40);
        defaults.sampling.temperature = 0.7;
        defaults.text_model = Some("a \"quoted\" name".to_owned());
        let server = ServerSection {
            host: "127.0.0.1".parse().ok(),
            port: Some(8000),
        };
        let config = Config::from_defaults(&defaults, server);
        let text = config.to_text().unwrap();
        let read = Config::parse(&text, Path::new("x.toml")).unwrap();
        assert_eq!(read, config);
        assert_eq!(read.to_defaults(), defaults);
    }

    #[test]
    fn memory_and_time_are_written_as_a_person_would() {
        let text = "[models]\nmemory_budget = \"1.5 GiB\"\nkeep_alive = \"1h 30m\"\n";
        let config = Config::parse(text, Path::new("x.toml")).unwrap();
        let gib = 1 << 30;
        let budget = Some(MemoryBudget::Bytes(gib + gib / 2));
        assert_eq!(config.models.memory_budget, budget);
        let keep_alive = KeepAlive::For(std::time::Duration::from_secs(5400));
        assert_eq!(config.models.keep_alive, Some(keep_alive));
        let again = config.to_text().unwrap();
        assert_eq!(Config::parse(&again, Path::new("x.toml")).unwrap(), config);
    }

    #[test]
    fn an_empty_file_changes_nothing() {
        let config = Config::parse("", Path::new("x.toml")).unwrap();
        assert_eq!(config.to_defaults(), Defaults::default());
    }

    #[test]
    fn a_mistake_is_told_with_file_line_and_key() {
        let unknown = reason("[retrieval]\nnumk = 3\n");
        for part in ["x.toml", "line 2", "`numk`"] {
            assert!(unknown.contains(part), "{part}: {unknown}");
        }
        assert!(reason("[chat]\n\ntemperature = \"hot\"").contains("line 3"));
        assert!(reason("[server]\nport = 70000").contains("line 2"));
        assert!(reason("[retrieval]\nnum_k = -1").contains("line 2"));
        let budget = reason("[models]\nmemory_budget = \"0GiB\"");
        for part in ["line 2", "memory_budget is \"0GiB\""] {
            assert!(budget.contains(part), "{part}: {budget}");
        }
        assert!(reason("[models]\nkeep_alive = \"-1s\"").contains("keep_alive is"));
    }
}
