//! Asking before something is deleted.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::error::CliError;

/// Makes sure that a person means it: `--yes`, or `y` typed on a terminal.
pub(crate) fn deletion(what: &str, yes: bool) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    let (stdin, mut stderr) = (io::stdin(), io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        return Err(CliError::NeedsYes {
            what: what.to_owned(),
        });
    }
    let mut answer = String::new();
    write!(stderr, "Delete {what}? [y/N] ")
        .and_then(|()| stdin.lock().read_line(&mut answer))
        .map_err(|source| CliError::Stdin { source })?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CliError::Interrupted),
    }
}
