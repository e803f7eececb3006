//! Ids and times of answers.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

/// What every part of one answer says of itself.
#[derive(Debug, Clone)]
pub(super) struct Stamp {
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) model: String,
}

impl Stamp {
    /// Of an answer that begins now.
    pub(super) fn now(prefix: &str, model: &str) -> Self {
        Self {
            id: id(prefix),
            created: seconds(SystemTime::now()),
            model: model.to_owned(),
        }
    }
}

/// An id unlike any other.
pub(super) fn id(prefix: &str) -> String {
    format!("{prefix}{}", Uuid::new_v4().simple())
}

/// Seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
