//! The life of a bot: made, built, changed, deleted.

use std::path::PathBuf;

use jiff::Timestamp;
use longtrainer_store::{BotRecord, BotSettings, Chunking};

use crate::build::{BuildProgress, BuildReport, Watch, vector_space};
use crate::documents::{AddReport, Document};
use crate::error::{Error, Result};
use crate::ids::BotId;
use crate::prompt::PromptTemplate;
use crate::settings::{check_chunking, check_num_k};
use crate::trainer::LongTrainer;

/// Changes to a bot's settings. What is left `None` stays as it is; a bot that never had it set
/// follows the [`Defaults`](crate::Defaults).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BotOptions {
    /// System prompt with a `{context}` placeholder.
    pub prompt_template: Option<String>,
    /// Passages per retrieval.
    pub num_k: Option<usize>,
    /// Whether a question is also searched for in other words.
    pub ensemble: Option<bool>,
    /// Most characters in one chunk. A change makes the next build split every document again.
    pub chunk_size: Option<usize>,
    /// Characters that neighbouring chunks share. A change acts like one of `chunk_size`.
    pub chunk_overlap: Option<usize>,
    /// Registry name or `.gguf` path of the text model.
    pub text_model: Option<String>,
    /// Registry name or folder of the embedding model. A change needs
    /// [`LongTrainer::reindex`].
    pub embedding_model: Option<String>,
    /// Registry name or path of the vision model.
    pub vision_model: Option<String>,
    /// Whether copies of the pictures of vision chats are kept. It holds for questions to come; what
    /// was kept stays as long as its chat.
    pub keep_pictures: Option<bool>,
}

/// What [`LongTrainer::update_chatbot`] adds and changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BotUpdate {
    /// Files to add.
    pub paths: Vec<PathBuf>,
    /// Ready documents to add.
    pub documents: Vec<Document>,
    /// Settings to change.
    pub options: BotOptions,
}

/// What [`LongTrainer::update_chatbot`] did.
#[derive(Debug, Clone, PartialEq)]
pub struct UpdateReport {
    /// What was added.
    pub added: AddReport,
    /// How the build went.
    pub build: BuildReport,
}

impl LongTrainer {
    /// Makes a bot without documents and returns its id: `bot-<uuid4>`.
    pub fn initialize_bot_id(&self) -> Result<BotId> {
        let bot_id = BotId::random();
        let now = Timestamp::now();
        self.inner.store.create_bot(&BotRecord {
            bot_id: bot_id.to_string(),
            tenant: self.tenant().map(|tenant| tenant.to_string()),
            created_at: now,
            updated_at: now,
            settings: BotSettings::default(),
            built_at: None,
            vector_space: None,
            vectors_revision: 0,
        })?;
        Ok(bot_id)
    }

    /// Builds a bot: applies the options, then splits and embeds every document that is not
    /// searchable yet. Building again costs nothing for documents that are.
    pub fn create_bot(&self, bot_id: &BotId, options: BotOptions) -> Result<BuildReport> {
        self.create_bot_with(bot_id, options, &mut |_| {})
    }

    /// [`LongTrainer::create_bot`], telling `progress` how far it has come.
    pub fn create_bot_with(
        &self,
        bot_id: &BotId,
        options: BotOptions,
        progress: &mut dyn FnMut(BuildProgress),
    ) -> Result<BuildReport> {
        self.change_settings(bot_id, options)?;
        self.build(bot_id, &mut watched(progress))
    }

    /// Loads a bot's models and index, so that the first question does not wait for them. An
    /// answer needs both models at once, so both must find room.
    pub fn load_bot(&self, bot_id: &BotId) -> Result<()> {
        let bot = self.bot(bot_id)?;
        let _embedder = self.inner.embedder_of(&bot)?;
        let _text_model = self.inner.text_model_of(&bot)?;
        let file = self.inner.data_dir.index(bot_id);
        self.inner
            .indexes
            .refresh(&*self.inner.store, &file, bot_id)
    }

    /// One bot's record.
    pub fn bot(&self, bot_id: &BotId) -> Result<BotRecord> {
        Ok(self.inner.store.bot(bot_id.as_str())?)
    }

    /// All bots, oldest first; in the view of a tenant, its own.
    pub fn list_bots(&self) -> Result<Vec<BotRecord>> {
        Ok(self.inner.store.bots()?)
    }

    /// Deletes a bot with everything that belongs to it: documents, vectors, chats with
    /// the pictures kept for them, jobs, and its files in the data directory.
    pub fn delete_chatbot(&self, bot_id: &BotId) -> Result<()> {
        let uploads = self.abandon_jobs(bot_id)?;
        let lock = self.inner.build_lock(bot_id)?;
        let _building = lock
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        self.inner.store.delete_bot(bot_id.as_str())?;
        self.inner.indexes.forget(bot_id);
        self.inner.forget_build_lock(bot_id);
        for upload in uploads {
            self.inner.data_dir.remove_upload(&upload)?;
        }
        remove_if_there(self.inner.data_dir.index(bot_id), |path| {
            std::fs::remove_file(path)
        })?;
        remove_if_there(self.inner.data_dir.training(bot_id), |path| {
            std::fs::remove_dir_all(path)
        })
    }

    /// Adds documents, changes settings, and builds. Open chats see the change at their next
    /// question. If one file cannot be loaded nothing is added and nothing changes.
    pub fn update_chatbot(&self, bot_id: &BotId, update: BotUpdate) -> Result<UpdateReport> {
        self.update_chatbot_with(bot_id, update, &mut |_| {})
    }

    /// [`LongTrainer::update_chatbot`], telling `progress` how far the build has come.
    pub fn update_chatbot_with(
        &self,
        bot_id: &BotId,
        update: BotUpdate,
        progress: &mut dyn FnMut(BuildProgress),
    ) -> Result<UpdateReport> {
        self.bot(bot_id)?;
        let mut documents = Vec::new();
        for path in &update.paths {
            documents.extend(self.load_documents(path)?);
        }
        documents.extend(update.documents);
        self.change_settings(bot_id, update.options)?;
        let added = self.pass_documents(documents, bot_id)?;
        Ok(UpdateReport {
            added,
            build: self.build(bot_id, &mut watched(progress))?,
        })
    }

    /// Sets a bot's system prompt; it holds from the next question on, in open chats too.
    pub fn set_custom_prompt_template(&self, bot_id: &BotId, template: &str) -> Result<()> {
        let options = BotOptions {
            prompt_template: Some(template.to_owned()),
            ..BotOptions::default()
        };
        self.change_settings(bot_id, options).map(drop)
    }

    /// Changes what the options name and leaves the rest, without building: another splitting holds
    /// from the next build on. Returns the bot as it is now.
    pub fn change_settings(&self, bot_id: &BotId, options: BotOptions) -> Result<BotRecord> {
        let chunking = self.inner.defaults.chunking;
        self.edit_settings(bot_id, |settings| options.apply(settings, chunking))
    }

    /// Lets `edit` change what the owner of a bot chose; `None` in a setting is the program's default.
    /// The whole change is checked before any of it is stored. `edit` may be called more than once.
    pub fn edit_settings(
        &self,
        bot_id: &BotId,
        edit: impl Fn(&mut BotSettings),
    ) -> Result<BotRecord> {
        let bot = self.bot(bot_id)?;
        let mut settings = bot.settings.clone();
        edit(&mut settings);
        if settings == bot.settings {
            return Ok(bot);
        }
        check_settings(&settings)?;
        self.check_vector_space(bot_id, &bot, &settings)?;
        // On what is stored by now: a change that somebody else has just made of another setting stays.
        let edit = &mut |bot: &mut BotRecord| edit(&mut bot.settings);
        Ok(self.inner.store.update_bot(bot_id.as_str(), edit)?)
    }

    /// Another embedding model is a decision with a cost, so it is never taken by the way. The same
    /// weights under another name are no other model.
    fn check_vector_space(
        &self,
        bot_id: &BotId,
        bot: &BotRecord,
        settings: &BotSettings,
    ) -> Result<()> {
        if bot.vector_space.is_none() || bot.settings.embedding_model == settings.embedding_model {
            return Ok(());
        }
        let changed = BotRecord {
            settings: settings.clone(),
            ..bot.clone()
        };
        vector_space(bot_id, bot, self.inner.embedder_of(&changed)?.info())?;
        Ok(())
    }

    /// Embeds all documents of a bot again, with another embedding model if one is named. Until it
    /// is done the bot finds only what has been embedded again; a run that is cut off goes on at
    /// the next build.
    pub fn reindex(
        &self,
        bot_id: &BotId,
        embedding_model: Option<&str>,
        progress: &mut dyn FnMut(BuildProgress),
    ) -> Result<BuildReport> {
        self.reindex_watched(bot_id, embedding_model, &mut watched(progress))
    }

    /// [`LongTrainer::reindex`], which whoever watches may end.
    pub(crate) fn reindex_watched(
        &self,
        bot_id: &BotId,
        embedding_model: Option<&str>,
        progress: Watch<'_>,
    ) -> Result<BuildReport> {
        let mut bot = self.bot(bot_id)?;
        if let Some(model) = embedding_model {
            bot.settings.embedding_model = Some(model.to_owned());
        }
        // A model that cannot be loaded must not cost the vectors that are there.
        let _embedder = self.inner.embedder_of(&bot)?;
        self.clear_index(bot_id)?;
        self.inner
            .store
            .update_bot(bot_id.as_str(), &mut |stored| {
                stored
                    .settings
                    .embedding_model
                    .clone_from(&bot.settings.embedding_model);
            })?;
        self.build(bot_id, progress)
    }

    fn clear_index(&self, bot_id: &BotId) -> Result<()> {
        let lock = self.inner.build_lock(bot_id)?;
        let _building = lock
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        self.inner.store.clear_index(bot_id.as_str())?;
        self.inner.indexes.forget(bot_id);
        Ok(())
    }
}

impl BotOptions {
    /// Takes over what is named; `chunking` is the splitting of a bot that has none of its own.
    fn apply(&self, settings: &mut BotSettings, chunking: Chunking) {
        take_over(&mut settings.prompt_template, &self.prompt_template);
        take_over(&mut settings.num_k, &self.num_k);
        take_over(&mut settings.ensemble, &self.ensemble);
        take_over(&mut settings.text_model, &self.text_model);
        take_over(&mut settings.embedding_model, &self.embedding_model);
        take_over(&mut settings.vision_model, &self.vision_model);
        take_over(&mut settings.keep_pictures, &self.keep_pictures);
        if self.chunk_size.is_some() || self.chunk_overlap.is_some() {
            let base = settings.chunking.unwrap_or(chunking);
            settings.chunking = Some(Chunking {
                chunk_size: self.chunk_size.unwrap_or(base.chunk_size),
                chunk_overlap: self.chunk_overlap.unwrap_or(base.chunk_overlap),
            });
        }
    }
}

fn take_over<T: Clone>(setting: &mut Option<T>, option: &Option<T>) {
    if option.is_some() {
        setting.clone_from(option);
    }
}

/// Checks what an owner chose.
fn check_settings(settings: &BotSettings) -> Result<()> {
    if let Some(template) = &settings.prompt_template {
        PromptTemplate::parse(template)?;
    }
    if let Some(num_k) = settings.num_k {
        check_num_k(num_k)?;
    }
    settings.chunking.map_or(Ok(()), check_chunking)
}

/// Progress that nobody ends a build by.
fn watched(
    progress: &mut dyn FnMut(BuildProgress),
) -> impl FnMut(BuildProgress) -> Result<()> + '_ {
    |so_far| {
        progress(so_far);
        Ok(())
    }
}

pub(crate) fn remove_if_there(
    path: PathBuf,
    remove: impl FnOnce(&PathBuf) -> std::io::Result<()>,
) -> Result<()> {
    match remove(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::Io {
            action: "remove",
            path,
            source,
        }),
        _ => Ok(()),
    }
}
