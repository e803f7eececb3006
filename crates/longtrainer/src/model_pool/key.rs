//! What a model is known by in memory.

use longtrainer_models::Role;

/// A name in a role: one file may serve in two, and is then two models in memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ModelKey {
    pub(crate) role: Role,
    /// As in the registry, or a path.
    pub(crate) name: String,
}

impl ModelKey {
    pub(crate) fn new(role: Role, name: &str) -> Self {
        Self {
            role,
            name: name.to_owned(),
        }
    }
}
