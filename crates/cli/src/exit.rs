//! How the command ends: the one table from kinds of error to exit codes, and the last words.

use std::io::{self, ErrorKind as IoKind};
use std::process::ExitCode;

use longtrainer::ErrorKind;
use longtrainer_server::Error as ServerError;
use longtrainer_server::config::ConfigError;

use crate::error::CliError;
use crate::notes;

/// The table below, as `--help` shows it.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  the machine or the program failed
    2  the command line is wrong
    3  no such bot, chat, document or file of settings
    4  the input is at fault: a file, a question, a setting
    5  it clashes with what is there
    6  a model or device is not available, or busy
  130  interrupted";

/// Exit code of an interrupted command.
pub(crate) const INTERRUPTED: u8 = 130;

const USAGE: u8 = 2;

/// Says what went wrong, if anything did, and chooses the exit code.
pub(crate) fn report(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            if !is_interruption(&error) {
                notes::error(&error);
            }
            ExitCode::from(code(&error))
        }
    }
}

/// The reader of standard output has what it wanted, as `head` does. Only an error that is itself
/// one of input and output counts: inside a library's error it would be another pipe.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == IoKind::BrokenPipe)
}

fn is_interruption(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(CliError::Interrupted))
}

fn code(error: &anyhow::Error) -> u8 {
    if let Some(error) = error.downcast_ref::<longtrainer::Error>() {
        return code_of_kind(error.kind());
    }
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        return code_of_kind(error.kind());
    }
    match error.downcast_ref::<CliError>() {
        Some(CliError::Interrupted) => INTERRUPTED,
        Some(CliError::NeedsYes { .. } | CliError::Usage { .. }) => USAGE,
        Some(error) => code_of_kind(error.kind()),
        None => code_of_kind(
            error
                .downcast_ref()
                .map_or(ErrorKind::Internal, kind_of_server_error),
        ),
    }
}

fn kind_of_server_error(error: &ServerError) -> ErrorKind {
    match error {
        ServerError::NoKeys { .. }
        | ServerError::Tls { .. }
        | ServerError::LinkNetwork { .. }
        | ServerError::HalfOfTls { .. }
        | ServerError::Origin { .. }
        | ServerError::ZeroLimit { .. }
        | ServerError::AllowedDirectory { .. } => ErrorKind::InvalidInput,
        ServerError::Listen { source, .. } if source.kind() == IoKind::AddrInUse => {
            ErrorKind::Conflict
        }
        ServerError::Jobs { source } => source.kind(),
        ServerError::DataDir { source, .. } => source.kind(),
        _ => ErrorKind::Internal,
    }
}

fn code_of_kind(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Internal => 1,
        // Nobody but the owner sits here.
        ErrorKind::Forbidden => 4,
        ErrorKind::NotFound => 3,
        ErrorKind::InvalidInput => 4,
        ErrorKind::Conflict => 5,
        ErrorKind::Unavailable | ErrorKind::Busy => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_does_not_change_the_code() {
        let error = anyhow::Error::new(longtrainer::Error::EmptyQuestion).context("while asking");
        assert_eq!(code(&error), 4);
    }

    #[test]
    fn only_our_own_pipe_ends_quietly() {
        let pipe = || io::Error::from(IoKind::BrokenPipe);
        assert!(is_closed_pipe(&pipe().into()));
        let other = longtrainer::Error::Thread { source: pipe() };
        assert!(!is_closed_pipe(&other.into()));
    }
}
