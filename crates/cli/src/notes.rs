//! What is said to a person on the way: standard error, plain lines. A standard error that cannot
//! be written to is no reason to fail, so those failures are dropped here and nowhere else.

use std::fmt::Display;
use std::io::{self, Write};

/// Whether notes and progress are shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notes {
    quiet: bool,
    verbose: bool,
}

impl Notes {
    pub(crate) fn new(quiet: bool, verbose: bool) -> Self {
        Self { quiet, verbose }
    }

    /// Whether a person wants to see nothing but errors.
    pub(crate) fn are_quiet(self) -> bool {
        self.quiet
    }

    /// One line, unless `--quiet`.
    pub(crate) fn say(self, line: impl Display) {
        if !self.quiet {
            write(&line);
        }
    }

    /// One line about what went otherwise than asked, unless `--quiet`.
    pub(crate) fn warn(self, line: impl Display) {
        self.say(format_args!("warning: {line}"));
    }

    /// One line that only `--verbose` shows.
    pub(crate) fn detail(self, line: impl Display) {
        if self.verbose {
            write(&line);
        }
    }
}

/// An error with its causes, on one line each.
pub(crate) fn error(error: &anyhow::Error) {
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1) {
        // Some errors repeat their cause in their own words.
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text += &format!("\n  because: {}", cause.trim_end().replace('\n', "\n  "));
        }
    }
    write(&text);
}

fn write(line: &dyn Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
