//! The file and its sections.

use std::io::{ErrorKind, Write};
use std::path::Path;

use longtrainer::{Chunking, Defaults, KeepAlive, MemoryBudget, Sampling};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::error::ConfigError;
use super::serve::ServeSection;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which models.
    pub models: ModelsSection,
    /// How passages are found.
    pub retrieval: RetrievalSection,
    /// How documents are split.
    pub chunking: ChunkingSection,
    /// How answers are made.
    pub chat: ChatSection,
    /// How vision chats deal with their pictures.
    pub pictures: PicturesSection,
    /// The server. Older files call it `server`.
    #[serde(alias = "server")]
    pub serve: ServeSection,
}

/// Which models are used, by registry names or paths, and how long they stay in memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelsSection {
    /// The text model.
    pub text: Option<String>,
    /// The embedding model.
    pub embedding: Option<String>,
    /// The vision model.
    pub vision: Option<String>,
    /// Memory that all models may take together.
    pub memory_budget: Option<MemoryBudget>,
    /// How long a model stays when nobody uses it.
    pub keep_alive: Option<KeepAlive>,
}

/// How passages are found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetrievalSection {
    /// Passages per retrieval.
    pub num_k: Option<usize>,
    /// Whether a question is also searched for in other words.
    pub ensemble: Option<bool>,
}

/// How documents are split, in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChunkingSection {
    /// Most characters in one chunk.
    pub chunk_size: Option<usize>,
    /// Characters that neighbouring chunks share.
    pub chunk_overlap: Option<usize>,
}

/// How answers are made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChatSection {
    /// Most tokens of a prompt.
    pub max_token_limit: Option<usize>,
    /// Most tokens of an answer.
    pub max_answer_tokens: Option<usize>,
    /// Randomness of answers.
    pub temperature: Option<f32>,
    /// Choose among this many tokens.
    pub top_k: Option<usize>,
    /// Choose among tokens whose probabilities reach this sum.
    pub top_p: Option<f32>,
    /// Choose among tokens this likely beside the likeliest.
    pub min_p: Option<f32>,
    /// Makes tokens seen lately less likely.
    pub repetition_penalty: Option<f32>,
    /// How many tokens back that looks.
    pub repetition_window: Option<usize>,
    /// Same seed, same question, same answer.
    pub seed: Option<u64>,
}

/// How vision chats deal with their pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PicturesSection {
    /// Whether copies of pictures are kept.
    pub keep_pictures: Option<bool>,
    /// Most pictures in one question.
    pub max_pictures: Option<usize>,
}

impl Config {
    /// Reads a file; `None` if there is none.
    pub fn read(path: &Path) -> Result<Option<Self>, ConfigError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ConfigError::io("read the settings file", path)(error)),
        };
        Self::parse(&text, path).map(Some)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|source| ConfigError::Malformed {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// Writes the file, whole or not at all; one that exists only with `force`.
    pub fn write(&self, path: &Path, force: bool) -> Result<(), ConfigError> {
        let text = self.to_text()?;
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(folder).map_err(ConfigError::io("create the folder", folder))?;
        let mut file = NamedTempFile::new_in(folder).map_err(ConfigError::io("write", path))?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.as_file().sync_all())
            .map_err(ConfigError::io("write", path))?;
        let persisted = if force {
            file.persist(path)
        } else {
            file.persist_noclobber(path)
        };
        match persisted {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
                Err(ConfigError::Exists {
                    path: path.to_owned(),
                })
            }
            Err(error) => Err(ConfigError::io("write", path)(error.error)),
        }
    }

    /// Reads the file at `path`, which must exist if somebody `named` it.
    pub fn find(path: &Path, named: bool) -> Result<Self, ConfigError> {
        match Self::read(path)? {
            Some(config) => Ok(config),
            None if named => Err(ConfigError::Missing {
                path: path.to_owned(),
            }),
            None => Ok(Self::default()),
        }
    }

    fn to_text(&self) -> Result<String, ConfigError> {
        Ok(format!("{HEADER}{}", self.to_toml()?))
    }

    /// The settings as TOML.
    pub(super) fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string_pretty(self).map_err(|source| ConfigError::Unwritable { source })
    }

    /// The program's defaults with what the file sets.
    pub fn to_defaults(&self) -> Defaults {
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
    pub fn from_defaults(defaults: &Defaults, serve: ServeSection) -> Self {
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
            serve,
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
# memory_budget (\"6GiB\") and keep_alive (\"10m\") there; top_k, top_p, min_p and seed in [chat]; in
# [serve] allow_dirs, allow_link_hosts, allow_link_networks, require_keys, tls_cert, tls_key,
# cors_origins, requests_per_minute, max_connections, header_timeout (\"30s\"), body_timeout,
# write_timeout, shutdown_grace, body_limit (\"2MiB\"), picture_body_limit, upload_limit, warm,
# log_format (\"json\") and log_content.

";

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> String {
        match Config::parse(text, Path::new("x.toml")).unwrap_err() {
            error @ ConfigError::Malformed { .. } => format!("{:#}", anyhow::Error::from(error)),
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
        let serve = ServeSection {
            host: "127.0.0.1".parse().ok(),
            port: Some(8000),
            ..ServeSection::default()
        };
        let config = Config::from_defaults(&defaults, serve);
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
        for section in ["serve", "server"] {
            assert!(reason(&format!("[{section}]\nport = 70000")).contains("line 2"));
        }
        assert!(reason("[retrieval]\nnum_k = -1").contains("line 2"));
        let budget = reason("[models]\nmemory_budget = \"0GiB\"");
        for part in ["line 2", "memory_budget is \"0GiB\""] {
            assert!(budget.contains(part), "{part}: {budget}");
        }
        assert!(reason("[models]\nkeep_alive = \"-1s\"").contains("keep_alive is"));
    }
}
