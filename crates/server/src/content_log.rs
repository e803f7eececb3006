//! What was asked and answered, in the log. Only a server that is told to writes it there: people
//! ask about things that are nobody else's business.

use std::path::Path;

use crate::options::ServerOptions;

/// A question, and the pictures that came with it.
pub(crate) fn question(options: &ServerOptions, question: &str, pictures: &[String]) {
    if options.log_content {
        // A picture that came as a data URL is its bytes.
        let pictures: Vec<_> = pictures
            .iter()
            .map(|picture| match picture.starts_with("data:") {
                true => "data:",
                false => picture.as_str(),
            })
            .collect();
        tracing::info!(question, ?pictures, "asked");
    }
}

/// A file that is to be added.
pub(crate) fn file(options: &ServerOptions, file: &Path) {
    if options.log_content {
        tracing::info!(file = %file.display(), "adding a document");
    }
}

/// A link that is to be followed.
pub(crate) fn link(options: &ServerOptions, link: &str) {
    if options.log_content {
        tracing::info!(link, "adding a document");
    }
}

/// A whole answer.
pub(crate) fn answer(options: &ServerOptions, answer: &str) {
    if options.log_content {
        tracing::info!(answer, "said");
    }
}
