//! Training on past chats: what was asked and answered becomes a document of the bot.
//!
//! Order matters here. The file is written first, whole or not at all; then one transaction marks
//! the turns and adds the documents; then the bot is built. A failure at any step leaves every turn
//! either waiting for the next run or stored as a document, and never lost between the two.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use longtrainer_store::{NewDocument, TurnKey, TurnRecord};
use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;
use uuid::Uuid;

use crate::build::{BuildReport, Watch};
use crate::error::{Error, Result};
use crate::ids::BotId;
use crate::trainer::LongTrainer;

/// What a training run did.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainReport {
    /// The documented sentence.
    pub message: String,
    /// The questions and answers, `Question,Answer`; `None` if there were none.
    pub csv_path: Option<PathBuf>,
    /// Turns taken.
    pub turns: usize,
    /// How the build went; `None` if there was none.
    pub build: Option<BuildReport>,
}

impl LongTrainer {
    /// Adds every complete turn that no earlier run has taken to the bot's documents, and builds.
    /// The bot keeps its prompt and settings. Failed, cancelled and empty turns and those of vision
    /// chats are left out.
    pub fn train_chats(&self, bot_id: &BotId) -> Result<TrainReport> {
        self.train_chats_watched(bot_id, &mut |_| Ok(()))
    }

    /// [`LongTrainer::train_chats`], of which whoever watches may end the build.
    pub(crate) fn train_chats_watched(
        &self,
        bot_id: &BotId,
        progress: Watch<'_>,
    ) -> Result<TrainReport> {
        self.bot(bot_id)?;
        let (keys, turns): (Vec<_>, Vec<_>) = self
            .inner
            .store
            .untrained_turns(bot_id.as_str())?
            .into_iter()
            .unzip();
        if turns.is_empty() {
            return Ok(nothing_to_train());
        }
        let csv_path = self.write_csv(bot_id, &turns)?;
        self.commit_training(bot_id, &keys, &turns, &csv_path)?;
        Ok(TrainReport {
            message: "Trainer updated with new chat history.".to_owned(),
            csv_path: Some(csv_path),
            turns: turns.len(),
            build: Some(self.build(bot_id, progress)?),
        })
    }

    fn write_csv(&self, bot_id: &BotId, turns: &[TurnRecord]) -> Result<PathBuf> {
        let folder = self.inner.data_dir.training(bot_id);
        std::fs::create_dir_all(&folder).map_err(|source| Error::Io {
            action: "create the directory",
            path: folder.clone(),
            source,
        })?;
        let path = folder.join(csv_name(bot_id));
        write_atomically(&folder, &path, turns)?;
        Ok(path)
    }

    /// A file whose turns could not be marked would be trained on twice, so it goes again.
    fn commit_training(
        &self,
        bot_id: &BotId,
        keys: &[TurnKey],
        turns: &[TurnRecord],
        csv_path: &Path,
    ) -> Result<()> {
        let documents: Vec<_> = turns
            .iter()
            .enumerate()
            .map(|(row, turn)| training_document(csv_path, row, turn))
            .collect();
        let committed = self
            .inner
            .store
            .commit_training(bot_id.as_str(), keys, &documents);
        if committed.is_err()
            && let Err(error) = std::fs::remove_file(csv_path)
        {
            tracing::warn!(file = %csv_path.display(), %error, "training file left behind");
        }
        committed?;
        Ok(())
    }
}

fn nothing_to_train() -> TrainReport {
    TrainReport {
        message: "No new chats found for training.".to_owned(),
        csv_path: None,
        turns: 0,
        build: None,
    }
}

/// The documented name, in UTC, and a random part: two runs in one second have two files.
fn csv_name(bot_id: &BotId) -> String {
    let time = Timestamp::now().strftime("%Y%m%d%H%M%S");
    format!("{bot_id}_data_{time}_{}.csv", Uuid::new_v4().simple())
}

fn write_atomically(folder: &Path, path: &Path, turns: &[TurnRecord]) -> Result<()> {
    let io = |source| Error::Io {
        action: "write",
        path: path.to_owned(),
        source,
    };
    let file = NamedTempFile::new_in(folder).map_err(io)?;
    write_rows(&file, turns).map_err(|source| Error::TrainingFile {
        path: path.to_owned(),
        source,
    })?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}

fn write_rows(file: &NamedTempFile, turns: &[TurnRecord]) -> csv::Result<()> {
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record(["Question", "Answer"])?;
    for turn in turns {
        writer.write_record([&turn.question, &turn.answer])?;
    }
    writer.flush()?;
    Ok(())
}

/// What loading the file's row would make.
fn training_document(csv_path: &Path, row: usize, turn: &TurnRecord) -> NewDocument {
    let mut metadata = Map::new();
    metadata.insert(
        "source".to_owned(),
        Value::String(csv_path.display().to_string()),
    );
    metadata.insert("row".to_owned(), json!(row));
    NewDocument {
        page_content: format!("Question: {}\nAnswer: {}", turn.question, turn.answer),
        metadata,
    }
}
