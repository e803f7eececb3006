//! The handlers, a file for each kind of thing. Each parses, calls the facade, and answers.

pub(crate) mod bots;
pub(crate) mod chats;
pub(crate) mod docs;
pub(crate) mod documents;
pub(crate) mod fallback;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod models;
pub(crate) mod operation;
pub(crate) mod training;
pub(crate) mod vision;
