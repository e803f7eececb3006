//! The front door: [`LongTrainer`], and how it is opened.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longtrainer_documents::LinkOptions;
use longtrainer_inference::{DeviceChoice, Embedder, EngineOptions, TextModel};
use longtrainer_models::{Registry, RegistryOptions, Role};
use longtrainer_store::{BotRecord, KeyStore, RedbStore, Store, TenantStore};

use crate::bot_indexes::BotIndexes;
use crate::direct::EmbeddingQueues;
use crate::error::Result;
use crate::ids::BotId;
use crate::jobs::RunningJobs;
use crate::keys::KeyRing;
use crate::model_pool::{
    EmbedderLease, KeepAlive, MemoryBudget, ModelPool, TextModelLease, VisionModelLease,
};
use crate::settings::{DataDir, Defaults};
use crate::tenants::TenantId;

/// Bots, their documents, and chats about them.
///
/// A `LongTrainer` owns one data directory; a second process that opens the same directory gets an
/// error. Clones share everything and may be used from any number of threads. Models are loaded
/// when first needed.
///
/// ```no_run
/// use longtrainer::{BotOptions, LongTrainer, ResponseOptions};
///
/// # fn main() -> longtrainer::Result<()> {
/// let trainer = LongTrainer::builder("./data").build()?;
/// let bot_id = trainer.initialize_bot_id()?;
/// trainer.add_document_from_path("report.pdf".as_ref(), &bot_id)?;
/// trainer.create_bot(&bot_id, BotOptions::default())?;
/// let chat_id = trainer.new_chat(&bot_id)?;
/// let answer =
///     trainer.get_response("What changed?", &bot_id, &chat_id, ResponseOptions::default())?;
/// println!("{}", answer.text);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LongTrainer {
    pub(crate) inner: Arc<Inner>,
}

/// What all clones share; views of other tenants have one of their own, of shared parts.
pub(crate) struct Inner {
    /// The store as far as this view of it goes.
    pub(crate) store: Arc<dyn Store>,
    /// Whose view it is; `None` is the owner's, who sees all.
    pub(crate) tenant: Option<TenantId>,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) models: Arc<ModelPool>,
    /// Asked only about bots that the store of the asker has shown.
    pub(crate) indexes: Arc<BotIndexes>,
    pub(crate) embedding_queues: Arc<EmbeddingQueues>,
    pub(crate) data_dir: DataDir,
    pub(crate) defaults: Arc<Defaults>,
    pub(crate) jobs: Arc<RunningJobs>,
    pub(crate) links: Arc<LinkOptions>,
    build_locks: BuildLocks,
}

/// One lock a bot, shared by all views.
type BuildLocks = Arc<Mutex<HashMap<BotId, Arc<Mutex<()>>>>>;

/// Opens a [`LongTrainer`]; every call but [`Builder::build`] sets one thing.
pub struct Builder {
    data_dir: PathBuf,
    registry: RegistryOptions,
    device: DeviceChoice,
    engine: EngineOptions,
    defaults: Defaults,
    memory_budget: MemoryBudget,
    keep_alive: KeepAlive,
    links: LinkOptions,
    embedders: Vec<Arc<dyn Embedder>>,
    text_models: Vec<Arc<dyn TextModel>>,
    vision_models: Vec<Arc<dyn TextModel>>,
}

impl Builder {
    /// Where models lie, and whether they may be fetched.
    pub fn registry(mut self, options: RegistryOptions) -> Self {
        self.registry = options;
        self
    }

    /// Where models run. The default is a graphics card if this build and machine have one, and
    /// else the CPU.
    pub fn device(mut self, device: DeviceChoice) -> Self {
        self.device = device;
        self
    }

    /// How requests share each text model that is loaded by name, and who is told its figures.
    pub fn engine(mut self, options: EngineOptions) -> Self {
        self.engine = options;
        self
    }

    /// What bots start from.
    pub fn defaults(mut self, defaults: Defaults) -> Self {
        self.defaults = defaults;
        self
    }

    /// How much memory all models may take together. For one more, those go that nobody uses, the
    /// longest unused first; if that is not enough it is not loaded, and who asked for it gets
    /// [`Error::OutOfModelMemory`](crate::Error::OutOfModelMemory). The default is no limit.
    pub fn memory_budget(mut self, budget: MemoryBudget) -> Self {
        self.memory_budget = budget;
        self
    }

    /// How long a model stays in memory when nobody uses it. The default is for ever.
    pub fn keep_alive(mut self, keep_alive: KeepAlive) -> Self {
        self.keep_alive = keep_alive;
        self
    }

    /// Where links to documents may lead, and how far they are followed. The default is public
    /// addresses alone, for a library as for a server: a program that follows links of people it trusts
    /// may allow hosts and networks of its own.
    pub fn links(mut self, links: LinkOptions) -> Self {
        self.links = links;
        self
    }

    /// Uses a ready embedder wherever its name is asked for, and by default. It is never unloaded.
    pub fn embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.defaults.embedding_model = Some(embedder.info().model.clone());
        self.embedders.push(embedder);
        self
    }

    /// Uses a ready text model wherever its name is asked for, and by default. It is never
    /// unloaded.
    pub fn text_model(mut self, model: Arc<dyn TextModel>) -> Self {
        self.defaults.text_model = Some(model.info().model.clone());
        self.text_models.push(model);
        self
    }

    /// Uses a ready vision model wherever its name is asked for, and by default. It is never
    /// unloaded. One that does not [see](TextModel::sees) is refused when this is
    /// [built](Builder::build).
    pub fn vision_model(mut self, model: Arc<dyn TextModel>) -> Self {
        self.defaults.vision_model = Some(model.info().model.clone());
        self.vision_models.push(model);
        self
    }

    /// Opens the data directory, making it if it is not there.
    pub fn build(self) -> Result<LongTrainer> {
        self.defaults.check()?;
        self.memory_budget.check()?;
        report_instruction_set();
        let data_dir = DataDir::create(self.data_dir)?;
        let store = Arc::new(RedbStore::open(&data_dir.store())?);
        let keys = KeyRing::open(Arc::clone(&store) as Arc<dyn KeyStore>)?;
        let registry = Registry::open(self.registry)?;
        let models = ModelPool::new(
            registry,
            self.device,
            self.engine,
            self.memory_budget,
            self.keep_alive,
        )?;
        self.embedders
            .into_iter()
            .for_each(|embedder| models.add_embedder(embedder));
        self.text_models
            .into_iter()
            .for_each(|model| models.add_text_model(model));
        for model in self.vision_models {
            models.add_vision_model(model)?;
        }
        let inner = Inner {
            store,
            tenant: None,
            keys: Arc::new(keys),
            models: Arc::new(models),
            indexes: Arc::default(),
            embedding_queues: Arc::default(),
            data_dir,
            defaults: Arc::new(self.defaults),
            jobs: Arc::default(),
            links: Arc::new(self.links),
            build_locks: Arc::default(),
        };
        Ok(LongTrainer {
            inner: Arc::new(inner),
        })
    }
}

/// Says which instructions the kernels use, and whether that is what was asked for.
fn report_instruction_set() {
    let selection = longtrainer_kernels::isa_selection();
    tracing::debug!(isa = selection.active.name(), "instruction set");
    if let Some(problem) = &selection.problem {
        tracing::warn!("{problem}");
    }
}

impl LongTrainer {
    /// Begins to open a data directory.
    pub fn builder(data_dir: impl Into<PathBuf>) -> Builder {
        Builder {
            data_dir: data_dir.into(),
            registry: RegistryOptions::default(),
            device: DeviceChoice::default(),
            engine: EngineOptions::default(),
            defaults: Defaults::default(),
            memory_budget: MemoryBudget::default(),
            keep_alive: KeepAlive::default(),
            links: LinkOptions::default(),
            embedders: Vec::new(),
            text_models: Vec::new(),
            vision_models: Vec::new(),
        }
    }

    /// The registry of models.
    pub fn models(&self) -> &Registry {
        self.inner.models.registry()
    }

    /// The defaults that bots start from.
    pub fn defaults(&self) -> &Defaults {
        &self.inner.defaults
    }

    /// Registry name or path of the text model that a bot answers with: the bot's own choice, or
    /// the program's, or the registry's.
    pub fn text_model_name(&self, bot: &BotRecord) -> Result<String> {
        self.inner.text_model_name(bot)
    }

    /// Registry name or path of the model that embeds a bot's documents, chosen likewise.
    pub fn embedding_model_name(&self, bot: &BotRecord) -> Result<String> {
        self.inner.embedding_model_name(bot)
    }

    /// Registry name or path of the model that looks at a bot's pictures, chosen likewise.
    ///
    /// # Errors
    ///
    /// [`Error::NoDefaultModel`](crate::Error::NoDefaultModel) if nobody chose one and the registry has none.
    pub fn vision_model_name(&self, bot: &BotRecord) -> Result<String> {
        self.inner.vision_model_name(bot)
    }
}

impl Inner {
    /// The text model a bot answers with.
    pub(crate) fn text_model_of(&self, bot: &BotRecord) -> Result<TextModelLease> {
        self.models.text_model(&self.text_model_name(bot)?)
    }

    fn text_model_name(&self, bot: &BotRecord) -> Result<String> {
        let chosen = bot
            .settings
            .text_model
            .as_ref()
            .or(self.defaults.text_model.as_ref());
        self.name_or_default(chosen, Role::Text)
    }

    /// The model that looks at the pictures of a bot's vision chats.
    pub(crate) fn vision_model_of(&self, bot: &BotRecord) -> Result<VisionModelLease> {
        self.models.vision_model(&self.vision_model_name(bot)?)
    }

    fn vision_model_name(&self, bot: &BotRecord) -> Result<String> {
        let chosen = bot
            .settings
            .vision_model
            .as_ref()
            .or(self.defaults.vision_model.as_ref());
        self.name_or_default(chosen, Role::Vision)
    }

    /// The model that embeds a bot's documents and questions.
    pub(crate) fn embedder_of(&self, bot: &BotRecord) -> Result<EmbedderLease> {
        self.models.embedder(&self.embedding_model_name(bot)?)
    }

    fn embedding_model_name(&self, bot: &BotRecord) -> Result<String> {
        let chosen = bot
            .settings
            .embedding_model
            .as_ref()
            .or(self.defaults.embedding_model.as_ref());
        self.name_or_default(chosen, Role::Embedding)
    }

    /// The model that embeds where no bot is concerned.
    pub(crate) fn default_embedder(&self) -> Result<EmbedderLease> {
        let chosen = self.defaults.embedding_model.as_ref();
        self.models
            .embedder(&self.name_or_default(chosen, Role::Embedding)?)
    }

    /// The model that looks at pictures where no bot is concerned.
    pub(crate) fn default_vision_model(&self) -> Result<VisionModelLease> {
        let chosen = self.defaults.vision_model.as_ref();
        self.models
            .vision_model(&self.name_or_default(chosen, Role::Vision)?)
    }

    fn name_or_default(&self, chosen: Option<&String>, role: Role) -> Result<String> {
        match chosen {
            Some(name) => Ok(name.clone()),
            None => self.models.default_name(role),
        }
    }

    /// The same parts for a tenant: a store of which only its own is seen, and all else shared.
    pub(crate) fn of_tenant(&self, tenant: &TenantId) -> Self {
        let store = TenantStore::new(Arc::clone(&self.store), tenant.as_str());
        Self {
            store: Arc::new(store),
            tenant: Some(tenant.clone()),
            keys: Arc::clone(&self.keys),
            models: Arc::clone(&self.models),
            indexes: Arc::clone(&self.indexes),
            embedding_queues: Arc::clone(&self.embedding_queues),
            data_dir: self.data_dir.clone(),
            defaults: Arc::clone(&self.defaults),
            jobs: Arc::clone(&self.jobs),
            links: Arc::clone(&self.links),
            build_locks: Arc::clone(&self.build_locks),
        }
    }

    /// Who shares what models have read: the requests of one tenant, and those of the owner.
    pub(crate) fn cache_scope(&self) -> Option<Arc<str>> {
        self.tenant.as_ref().map(|tenant| tenant.as_str().into())
    }

    /// One lock a bot: whoever changes its chunks or vectors holds it, so that two builds never
    /// embed the same document twice and the index follows the store in order.
    ///
    /// An id that this view does not know is refused: a lock would be kept for each that somebody
    /// makes up.
    pub(crate) fn build_lock(&self, bot_id: &BotId) -> Result<Arc<Mutex<()>>> {
        self.store.bot(bot_id.as_str())?;
        let mut locks = self.build_locks();
        Ok(Arc::clone(locks.entry(bot_id.clone()).or_default()))
    }

    /// Forgets the lock of a bot that is gone.
    pub(crate) fn forget_build_lock(&self, bot_id: &BotId) {
        self.build_locks().remove(bot_id);
    }

    fn build_locks(&self) -> MutexGuard<'_, HashMap<BotId, Arc<Mutex<()>>>> {
        self.build_locks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
