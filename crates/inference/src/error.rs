//! What can go wrong with a model: while finding a device, loading, reading a prompt, generating.
//!
//! Messages name the file, tensor or field, so that a person can act on them; the error of the
//! library underneath is kept as the source.

use std::path::PathBuf;

use crate::device::{DeviceMemory, DeviceProblem, MemoryFull};

/// The result of every call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error's message and those of its causes that it does not repeat itself.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = error.source();
    }
    message
}

/// What the kernels or the tensor library said.
pub(crate) type ComputeError = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong with a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The prompt and the room asked for the answer do not fit the model's context.
    #[error(
        "the prompt has {prompt_tokens} tokens and {max_tokens} were asked for the answer, but \
         the model's context holds {context_length}"
    )]
    PromptTooLong {
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// Tokens asked for the answer.
        max_tokens: usize,
        /// Tokens that the model can hold.
        context_length: usize,
    },
    /// A number in a request is outside its range.
    #[error("{field} is {value}, but must be {expected}")]
    InvalidRequest {
        /// Which number.
        field: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// More requests wait than the engine's queue may hold.
    #[error("the engine of model {model:?} is busy: {waiting} requests wait already")]
    QueueFull {
        /// The model.
        model: String,
        /// Requests that wait.
        waiting: usize,
    },
    /// The keys and values of this request alone would need more memory than the engine may use.
    #[error(
        "{tokens} tokens need {needed} bytes for their keys and values, but the engine of model \
         {model:?} may use {budget}"
    )]
    CacheTooSmall {
        /// The model.
        model: String,
        /// Tokens of prompt and answer together.
        tokens: usize,
        /// Bytes that they need.
        needed: usize,
        /// Bytes that there may be.
        budget: usize,
    },
    /// A grammar that cannot be read, cannot be met, or is too large.
    #[error("the {kind} of the answer cannot be used: {problem}")]
    Grammar {
        /// What kind of grammar: JSON Schema, regular expression, choice, Lark grammar.
        kind: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// An adapter that was made for another model.
    #[error("adapter {adapter:?} does not fit model {model:?}: {problem}")]
    AdapterMismatch {
        /// The adapter.
        adapter: String,
        /// The model.
        model: String,
        /// The tensor that does not fit, or what else does not.
        problem: String,
    },
    /// The model's thread has ended.
    #[error("the engine of model {model:?} has stopped")]
    EngineStopped {
        /// The model.
        model: String,
    },
    /// A device name that means nothing.
    #[error("unknown device {name:?}: use cpu, cuda, cuda:N, metal or auto")]
    UnknownDevice {
        /// The name.
        name: String,
    },
    /// A device that this build or this machine does not have.
    #[error("device {device} is not available: {reason}")]
    DeviceUnavailable {
        /// The device asked for.
        device: String,
        /// Why not.
        reason: DeviceProblem,
    },
    /// A graphics card has no memory left for what a step or a load needs. What was asked for is undone; others go on.
    #[error("the memory of the device is full: computing with model {model:?} failed{}", left(*memory))]
    DeviceMemory {
        /// The model.
        model: String,
        /// What the card had at that moment, where it says so.
        memory: Option<DeviceMemory>,
    },
    /// A model is larger than what is left of a card's memory.
    #[error(
        "model {model:?} needs {needed} bytes for its weights, but {device} has {free} of {total} bytes left"
    )]
    TooLargeForDevice {
        /// The model.
        model: String,
        /// The card.
        device: String,
        /// Bytes that the weights take.
        needed: u64,
        /// Bytes that are free.
        free: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A model file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file of a made-up model could not be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A configuration file of a model is not what it should be.
    #[error("{path} is not a valid configuration")]
    Config {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A model file could be read, but does not hold what a model needs.
    #[error("{path}: {problem}")]
    BadModel {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong.
        problem: String,
    },
    /// A tensor is missing, misshapen, cut off or holds values that are not finite.
    #[error("{path}: tensor {tensor}: {problem}")]
    BadTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A kind of model that this crate cannot run.
    #[error("{path}: {what} {found:?} is not supported; supported are {supported}")]
    Unsupported {
        /// The file that says so.
        path: PathBuf,
        /// What is not supported: architecture, tokenizer, pooling.
        what: &'static str,
        /// What the file asks for.
        found: String,
        /// What could be asked for.
        supported: &'static str,
    },
    /// The tokenizer could not be built or refused a text.
    #[error("the tokenizer of model {model:?} failed")]
    Tokenizer {
        /// The model.
        model: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The chat template cannot be read, or refused these messages.
    #[error("the chat template of model {model:?} failed")]
    Template {
        /// The model.
        model: String,
        /// Line and reason.
        #[source]
        source: minijinja::Error,
    },
    /// The kernels or the tensor library refused an operation.
    #[error("computing with model {model:?} failed")]
    Compute {
        /// The model.
        model: String,
        /// Which operation, and why.
        #[source]
        source: ComputeError,
    },
    /// A picture that cannot be read or decoded.
    #[error(transparent)]
    Picture(#[from] longtrainer_images::Error),
    /// A vision half that was made for text models of another width.
    #[error(
        "vision model {vision:?} makes tokens of {vision_width} values, but those of text model \
         {text:?} have {text_width}"
    )]
    VisionMismatch {
        /// The vision half.
        vision: String,
        /// Values of its tokens.
        vision_width: usize,
        /// The text model.
        text: String,
        /// Values of its tokens.
        text_width: usize,
    },
    /// All numbers for the tokens of pictures were given out.
    #[error(
        "this process has looked at two thousand million parts of pictures and cannot tell more apart; start it anew"
    )]
    PicturesUsedUp,
    /// A request hit a defect of this program. The model goes on with the next request.
    #[error("model {model:?} failed inside a step: {message}")]
    Panicked {
        /// The model.
        model: String,
        /// What the panic said.
        message: String,
    },
    /// A thread for a model could not be started.
    #[error("cannot start the threads of model {model:?}: {reason}")]
    Threads {
        /// The model.
        model: String,
        /// Why.
        reason: String,
    },
}

fn left(memory: Option<DeviceMemory>) -> String {
    memory.map_or_else(String::new, |memory| {
        format!(" with {} of {} bytes left", memory.free, memory.total)
    })
}

/// What a computation's error is to callers.
pub(crate) fn compute_failed(model: &str, source: ComputeError) -> Error {
    let model = model.to_owned();
    match source.downcast_ref::<MemoryFull>() {
        Some(full) => Error::DeviceMemory {
            model,
            memory: full.memory,
        },
        None => Error::Compute { model, source },
    }
}

/// An error about a setting of a request.
pub(crate) fn invalid(field: &'static str, value: impl ToString, expected: &'static str) -> Error {
    Error::InvalidRequest {
        field,
        value: value.to_string(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Link>>,
    }

    #[test]
    fn causes_are_told_once() {
        let io = Box::new(Link {
            text: "disk full",
            source: None,
        });
        let repeated = Box::new(Link {
            text: "cannot write a.csv",
            source: Some(io),
        });
        let outer = Link {
            text: "cannot write a.csv",
            source: Some(repeated),
        };
        assert_eq!(with_causes(&outer), "cannot write a.csv: disk full");
    }
}
