//! With which requests a request shares the keys and values of its tokens.

use std::sync::Arc;

/// What the keys and values of a token depend on besides the tokens, and who may know that they are
/// there: whoever has lately sent a text shows in how soon an answer to it begins. Requests of one kind
/// share what they read; those of different kinds share nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CacheKind {
    /// What the model says; see [`cache_kind`](super::LanguageModel::cache_kind).
    pub(super) of_model: u64,
    /// The number of the adapter and its strength; 0 for none.
    pub(super) adapter: u64,
    /// Who shares; see [`GenerateRequest::cache_scope`](crate::GenerateRequest::cache_scope).
    pub(super) scope: Option<Arc<str>>,
}
