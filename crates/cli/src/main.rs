//! The `longtrainer` command.
//!
//! Three steps: raw flags ([`flags`]), checked settings ([`settings`]), and one thin function a
//! command ([`commands`]) that calls the library and prints. What a program may want goes to
//! standard output; everything said to a person on the way goes to standard error.

mod answer;
mod chat_name;
mod commands;
mod confirm;
mod error;
mod exit;
mod flags;
mod interrupt;
mod logging;
mod model_files;
mod notes;
mod output;
mod progress;
mod session;
mod settings;
mod source_line;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Command;
use crate::flags::Flags;
use crate::session::Session;

fn main() -> ExitCode {
    let flags = Flags::parse();
    // A server's log is written as its settings say, which are not read yet.
    if !matches!(flags.command, Command::Serve(_)) {
        logging::start(&flags.global);
    }
    exit::report(run(flags))
}

fn run(flags: Flags) -> anyhow::Result<()> {
    let session = Session::new(&flags.global)?;
    commands::run(flags.command, session)
}
