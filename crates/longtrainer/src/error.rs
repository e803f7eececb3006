//! What can go wrong, in one place, with the few kinds that a server or a command maps to a status.

use std::path::PathBuf;

use bytesize::ByteSize;
use longtrainer_inference::with_causes;
use longtrainer_models::Role;
use longtrainer_store::JobStatus;

use crate::bench::BenchError;
use crate::ids::BotId;

/// The result of every call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text is not an id of the kind asked for.
    #[error("{text:?} is not a {kind} id: those read {prefix}<uuid>")]
    InvalidId {
        /// `bot`, `chat` or `vision chat`.
        kind: &'static str,
        /// What every id of the kind begins with.
        prefix: &'static str,
        /// What was given.
        text: String,
    },
    /// A text that names no tenant.
    #[error(
        "{text:?} is no name of a tenant: those have 1 to 64 letters, digits, '-', '_' and '.'"
    )]
    InvalidTenant {
        /// What was given.
        text: String,
    },
    /// A tenant asked for what only the owner of the data directory may do.
    #[error("{what} is for the owner of this server, not for its tenants")]
    OwnerOnly {
        /// What was asked for.
        what: &'static str,
    },
    /// A question without text.
    #[error("the question is empty")]
    EmptyQuestion,
    /// A conversation whose last message is not one of the person's.
    #[error("the last message must be the question: one of the role user")]
    LastMessage,
    /// A text of which an embedder would look at the beginning only.
    #[error("text {index} (from 0) has more than the {max_tokens} tokens that the model looks at")]
    TextTooLong {
        /// Which text, from 0.
        index: usize,
        /// Tokens that the model looks at.
        max_tokens: usize,
    },
    /// A question that no prompt can hold, refused before anything is done with it.
    #[error("the question has {bytes} bytes; at most {limit} are taken")]
    QuestionTooLarge {
        /// Bytes of the question.
        bytes: usize,
        /// Most bytes that are taken.
        limit: usize,
    },
    /// The question does not fit the model's context, even with no history at all.
    #[error(
        "system prompt, passages and question need {needed} tokens, but the budget is {budget} \
         (of the model's {context_length}, {max_tokens} are kept for the answer)"
    )]
    PromptTooLong {
        /// Tokens of the prompt without history.
        needed: usize,
        /// Tokens that a prompt may have.
        budget: usize,
        /// Tokens that prompt and answer may have together.
        context_length: usize,
        /// Tokens kept for the answer.
        max_tokens: usize,
    },
    /// A prompt template that cannot be filled.
    #[error("the prompt template is not usable: {reason}")]
    PromptTemplate {
        /// What is wrong with it, and where.
        reason: String,
    },
    /// The schema of an answer that is no JSON Schema.
    #[error("the schema of the answer is not usable: {problem}")]
    Schema {
        /// What is wrong with it.
        problem: String,
    },
    /// An answer cannot have two shapes.
    #[error("schema and grammar both tell the shape of the answer: give one of them")]
    SchemaAndGrammar,
    /// An answer with a schema that `max_tokens` ended: half of it is no data.
    #[error(
        "the answer was cut off after {tokens} tokens, so it is not whole JSON: allow more with max_tokens"
    )]
    AnswerCutOff {
        /// Tokens of the answer.
        tokens: usize,
        /// What there was of it.
        answer: String,
    },
    /// An answer that is not what its schema asks for.
    #[error("the answer is not what the schema asks for: {problem}")]
    AnswerNotOfSchema {
        /// What is wrong with it, and where.
        problem: String,
        /// The answer.
        answer: String,
    },
    /// A setting outside its range.
    #[error("{name} is {value}, but must be {expected}")]
    InvalidSetting {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A bot that was never built has nothing to answer from.
    #[error("bot {bot_id} has not been built yet: call create_bot first")]
    NotBuilt {
        /// The bot.
        bot_id: BotId,
    },
    /// The bot's vectors were made by another embedding model.
    #[error(
        "the vectors of bot {bot_id} were made by {stored:?}, but its embedding model is now \
         {chosen:?}: run `reindex` to embed its documents again"
    )]
    ReindexNeeded {
        /// The bot.
        bot_id: BotId,
        /// The model that made the vectors.
        stored: String,
        /// The model chosen now.
        chosen: String,
    },
    /// A vision model in GGUF files must have one of each part.
    #[error("{} {}", path.display(), parts_found(part, found))]
    VisionParts {
        /// The folder, or the file that was named.
        path: PathBuf,
        /// The part.
        part: &'static str,
        /// The files that could be it, if there are any.
        found: String,
    },
    /// Nobody chose a model, and the registry names no default.
    #[error("no {role} model was chosen, and models.toml names no default for that role")]
    NoDefaultModel {
        /// What the model was for.
        role: Role,
    },
    /// The memory that models may take together is not enough for one more.
    #[error(
        "the model {model:?} needs {} of memory, but all models together may take {}{}",
        ByteSize(*needed), ByteSize(*budget), told(held)
    )]
    OutOfModelMemory {
        /// The model that was to be loaded.
        model: String,
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that all models may take together.
        budget: u64,
        /// The models that could not go to make room for it.
        held: Vec<HeldModel>,
    },
    /// A model cannot be unloaded while somebody uses or loads it.
    #[error("the model {name:?} is in use, so it cannot be unloaded")]
    ModelInUse {
        /// The model.
        name: String,
    },
    /// A model that the program was given ready-made cannot be loaded again, so it stays.
    #[error("the model {name:?} was given to this program as it is, so it cannot be unloaded")]
    ModelPinned {
        /// The model.
        name: String,
    },
    /// A model was asked for something that it is not made for.
    #[error("the model {name:?} is for the role {role}, not for {asked}")]
    ModelRole {
        /// The model.
        name: String,
        /// What it is for.
        role: Role,
        /// What it was asked for.
        asked: Role,
    },
    /// A model that takes no pictures was chosen for looking at them.
    #[error("the model {name:?} does not look at pictures, so it cannot be a vision model")]
    ModelDoesNotSee {
        /// The model.
        name: String,
    },
    /// More pictures in one question than are taken.
    #[error(
        "the question comes with {given} pictures; at most {limit} are taken (max_pictures allows \
         more)"
    )]
    TooManyPictures {
        /// Pictures of the question.
        given: usize,
        /// Most that are taken.
        limit: usize,
    },
    /// The model's stream broke off without an end.
    #[error("the answer in chat {chat_id} broke off: the model's engine ended before it was done")]
    AnswerBrokeOff {
        /// The chat.
        chat_id: String,
    },
    /// The system refused a thread to serve the answer.
    #[error("no thread could be started for the answer")]
    Thread {
        /// Why.
        source: std::io::Error,
    },
    /// The system refused the thread that unloads models which nobody uses.
    #[error("no thread could be started to unload models that are not used")]
    KeepAliveThread {
        /// Why.
        source: std::io::Error,
    },
    /// Links lead to the network, which this program was told not to use.
    #[error("cannot follow the link {url}: this program may not use the network (offline)")]
    LinksOffline {
        /// The link.
        url: String,
    },
    /// A job was told to end.
    #[error("the job was told to end before it was done")]
    JobStopped,
    /// A job that has ended cannot be cancelled.
    #[error("job {job_id} has ended already: {status:?}")]
    JobEnded {
        /// The job.
        job_id: String,
        /// How it ended.
        status: JobStatus,
    },
    /// A turn could not be written as JSON.
    #[error("a turn could not be written as JSON")]
    Export(#[source] serde_json::Error),
    /// So many jobs wait already that one more is not taken.
    #[error("{limit} jobs wait already; try again when some of them are done")]
    TooManyJobs {
        /// The most that may wait.
        limit: usize,
    },
    /// What a job has to do could not be written down.
    #[error("the job could not be written down")]
    JobTask(#[source] serde_json::Error),
    /// What a stored job has to do is nothing that this version can do.
    #[error("this version does not know how to do this job")]
    UnknownJobTask,
    /// A job broke off by a fault of the program.
    #[error("a fault of the program broke the job off; its log says more")]
    JobPanicked,
    /// A file that was sent in has a name that no file can have.
    #[error("{name:?} is not usable as a file name")]
    FileName {
        /// How it begins.
        name: String,
    },
    /// A file of the data directory could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The rows of a training file could not be written.
    #[error("cannot write the training file {}", path.display())]
    TrainingFile {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: csv::Error,
    },
    /// A file is not in SQuAD's layout.
    #[error("{} is not in SQuAD's JSON layout", path.display())]
    NotSquad {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A file is not a list of questions about pictures.
    #[error("{} is not a JSON list of [question, answer, number of the picture]", path.display())]
    NotVqa {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// An answer that was measured ended without an end.
    #[error("the vision model broke off in the middle of an answer")]
    VqaBrokeOff,
    /// A file in SQuAD's layout in which no question has an answer.
    #[error("{} has no question with an answer, so there is nothing to measure", path.display())]
    NoQuestions {
        /// The file.
        path: PathBuf,
    },
    /// A benchmark was asked for what cannot be measured.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// A document could not be loaded or split.
    #[error(transparent)]
    Documents(#[from] longtrainer_documents::Error),
    /// The index refused.
    #[error(transparent)]
    Index(#[from] longtrainer_index::Error),
    /// A picture could not be read, or is none.
    #[error(transparent)]
    Picture(#[from] longtrainer_images::Error),
    /// A model failed.
    #[error(transparent)]
    Inference(#[from] longtrainer_inference::Error),
    /// A model is not there, or not what it should be.
    #[error(transparent)]
    Models(#[from] longtrainer_models::Error),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] longtrainer_store::Error),
}

/// A model that is in use, is being loaded, or was given to the program as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldModel {
    /// Registry name or path.
    pub name: String,
    /// Memory that it takes.
    pub bytes: u64,
}

/// The models that hold memory, as a clause that ends a sentence.
/// Why a part of a vision model is not clear.
fn parts_found(part: &str, found: &str) -> String {
    match found.is_empty() {
        true => format!("is no {part}, or has none beside it"),
        false => format!("holds more than one {part}: {found}; keep one, or name the mmproj file"),
    }
}

fn told(held: &[HeldModel]) -> String {
    let each = |model: &HeldModel| format!("{:?} ({})", model.name, ByteSize(model.bytes));
    let all: Vec<_> = held.iter().map(each).collect();
    match all.is_empty() {
        true => String::new(),
        false => format!(", and these cannot be unloaded now: {}", all.join(", ")),
    }
}

/// The few kinds of error that callers treat differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A bot, chat, document or job that does not exist.
    NotFound,
    /// The request or the file is at fault; trying again will not help.
    InvalidInput,
    /// It clashes with what is stored: taken, in use, or made by another model.
    Conflict,
    /// Something that this installation lacks: a model or a device.
    Unavailable,
    /// More is asked of a model than it can take just now; trying again later may help.
    Busy,
    /// It is there, but not for whoever asks.
    Forbidden,
    /// The machine or the program is at fault.
    Internal,
}

impl Error {
    /// The message and its causes, as a log that keeps what people ask, are answered and call their
    /// files to itself may have it; of an error that repeats such things, only its kind.
    pub fn for_log(&self) -> String {
        let repeats = self.kind() == ErrorKind::InvalidInput
            || matches!(self, Self::AnswerNotOfSchema { .. });
        match repeats {
            true => format!(
                "not told here, as it may repeat what was sent ({:?})",
                self.kind()
            ),
            false => with_causes(self),
        }
    }

    /// Which kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidId { .. }
            | Self::InvalidTenant { .. }
            | Self::EmptyQuestion
            | Self::LastMessage
            | Self::TextTooLong { .. }
            | Self::QuestionTooLarge { .. }
            | Self::PromptTooLong { .. }
            | Self::PromptTemplate { .. }
            | Self::Schema { .. }
            | Self::SchemaAndGrammar
            | Self::AnswerCutOff { .. }
            | Self::InvalidSetting { .. }
            | Self::ModelRole { .. }
            | Self::ModelDoesNotSee { .. }
            | Self::VisionParts { .. }
            | Self::TooManyPictures { .. }
            | Self::Picture(_)
            | Self::NotSquad { .. }
            | Self::NotVqa { .. }
            | Self::NoQuestions { .. }
            | Self::FileName { .. }
            | Self::Documents(_) => ErrorKind::InvalidInput,
            Self::NotBuilt { .. }
            | Self::ReindexNeeded { .. }
            | Self::ModelInUse { .. }
            | Self::ModelPinned { .. }
            | Self::JobStopped
            | Self::JobEnded { .. } => ErrorKind::Conflict,
            Self::NoDefaultModel { .. }
            | Self::OutOfModelMemory { .. }
            | Self::TooManyJobs { .. }
            | Self::LinksOffline { .. } => ErrorKind::Unavailable,
            Self::OwnerOnly { .. } => ErrorKind::Forbidden,
            Self::VqaBrokeOff
            | Self::AnswerBrokeOff { .. }
            | Self::AnswerNotOfSchema { .. }
            | Self::Thread { .. }
            | Self::KeepAliveThread { .. }
            | Self::Io { .. }
            | Self::TrainingFile { .. }
            | Self::JobTask(_)
            | Self::Export(_)
            | Self::UnknownJobTask
            | Self::JobPanicked
            | Self::Index(_) => ErrorKind::Internal,
            Self::Bench(error) => error.kind(),
            Self::Inference(error) => inference_kind(error),
            Self::Models(error) => models_kind(error),
            Self::Store(error) => store_kind(error),
        }
    }
}

fn inference_kind(error: &longtrainer_inference::Error) -> ErrorKind {
    use longtrainer_inference::Error as E;
    match error {
        E::PromptTooLong { .. }
        | E::InvalidRequest { .. }
        | E::Grammar { .. }
        | E::AdapterMismatch { .. }
        | E::Picture(_) => ErrorKind::InvalidInput,
        E::QueueFull { .. } => ErrorKind::Busy,
        // Trying again elsewhere helps.
        E::DeviceUnavailable { .. } | E::DeviceMemory { .. } | E::TooLargeForDevice { .. } => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Internal,
    }
}

fn models_kind(error: &longtrainer_models::Error) -> ErrorKind {
    use longtrainer_models::Error as E;
    match error {
        E::UnknownModel { .. } => ErrorKind::NotFound,
        E::Manifest { .. } => ErrorKind::InvalidInput,
        E::Io { .. } | E::DiskFull { .. } | E::FirstSeen { .. } => ErrorKind::Internal,
        _ => ErrorKind::Unavailable,
    }
}

fn store_kind(error: &longtrainer_store::Error) -> ErrorKind {
    use longtrainer_store::Error as E;
    match error {
        E::BotNotFound { .. }
        | E::ChatNotFound { .. }
        | E::DocumentNotFound { .. }
        | E::ChunkNotFound { .. }
        | E::TurnNotFound { .. }
        | E::PictureNotFound { .. }
        | E::JobNotFound { .. }
        | E::KeyNotFound { .. } => ErrorKind::NotFound,
        E::WrongChatKind { .. } | E::InvalidId { .. } | E::InvalidMetadata { .. } => {
            ErrorKind::InvalidInput
        }
        E::TurnAlreadyTrained { .. }
        | E::TurnNotTrainable { .. }
        | E::AlreadyExists { .. }
        | E::VectorSpaceMismatch { .. }
        | E::InUse { .. } => ErrorKind::Conflict,
        E::OwnerOnly { .. } => ErrorKind::Forbidden,
        _ => ErrorKind::Internal,
    }
}
