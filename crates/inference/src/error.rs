//! What can go wrong with a model.

/// The result of every call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

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
    /// The model's thread has ended.
    #[error("the engine of model {model:?} has stopped")]
    EngineStopped {
        /// The model.
        model: String,
    },
}
