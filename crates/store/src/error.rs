//! What can go wrong with the store.

/// The result of every call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No bot has this id.
    #[error("no bot has the id {bot_id:?}")]
    BotNotFound {
        /// The id asked for.
        bot_id: String,
    },
}
