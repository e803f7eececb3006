//! What keeps an act from being done.

use longtrainer_benches::Reply;

/// What keeps an act from being done.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The connection broke, which is right if the server was killed and wrong if not.
    Gone(anyhow::Error),
    /// The server said what it must not say.
    Wrong(String),
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        Self::Gone(error)
    }
}

impl Trouble {
    /// An answer that the request must not have.
    pub(crate) fn unexpected(request: &str, reply: &Reply) -> Self {
        Self::Wrong(format!("{request}: {} {}", reply.status, reply.text()))
    }

    /// Something that an answer lacks.
    pub(crate) fn lacks(request: &str, what: &str, text: &str) -> Self {
        Self::Wrong(format!("{request}: no {what} in {text}"))
    }
}
