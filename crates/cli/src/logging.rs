//! The library's log, to standard error: warnings unless `-v`, `-vv` or `--quiet` say otherwise.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;

use crate::flags::GlobalFlags;

/// Starts the log of the whole program; called once.
pub(crate) fn start(flags: &GlobalFlags) {
    let level = match (flags.quiet, flags.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, _) => LevelFilter::DEBUG,
    };
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && !no_color)
        .with_target(flags.verbose > 1)
        .without_time()
        .init();
}
