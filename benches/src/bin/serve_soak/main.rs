//! Is the real server safe to leave running, and safe to kill? Visitors use the `serve` binary over HTTP
//! at random for as long as they are told: chats whole and streamed, files sent in, texts replaced, builds,
//! searches, pictures, OpenAI's routes, requests that must be refused, readers that are slow and readers
//! that leave. In between the server is killed (SIGKILL) and started again, and everything that it had
//! acknowledged must be there: bots, documents, turns to the letter, titles, deletions, jobs, keys.
//!
//! ```sh
//! cargo build --release -p longtrainer-server --bin serve
//! cargo run --release -p longtrainer-benches --bin serve_soak -- --serve target/release/serve --minutes 30
//! ```
//!
//! A line a minute says what happened. It passes if nothing was lost, every status was one that the request
//! may have, memory stopped growing, and nothing is left in flight at the end; the exit code tells.
//!
//! Kills fall into the first three fifths of the time, so that the last server lives long enough to tell
//! whether its memory is flat.
#![allow(
    clippy::print_stdout,
    reason = "the line a minute and the summary are what this program is for"
)]

mod acts;
mod check;
mod figures;
mod keeper;
mod ledger;
mod plan;
mod report;
mod server_process;
mod soak;
mod tally;
#[cfg(test)]
mod tests;
mod trouble;
mod visitor;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// What the program is told.
#[derive(Debug, Parser)]
pub(crate) struct Flags {
    /// The `serve` binary
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) serve: PathBuf,
    /// How long
    #[arg(long, default_value_t = 30.0)]
    pub(crate) minutes: f64,
    /// How often the server is killed
    #[arg(long, default_value_t = 3)]
    pub(crate) kills: usize,
    /// Visitors, each of which does one thing at a time with bots of its own
    #[arg(long, default_value_t = 12)]
    pub(crate) visitors: usize,
    /// Longest pause between two requests of a visitor, in seconds
    #[arg(long, default_value_t = 2.0)]
    pub(crate) pause: f64,
    /// What everything is drawn from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// A text of some thousand words that documents are cut from
    #[arg(long, value_name = "FILE", default_value = "ARCHITECTURE.md")]
    pub(crate) text: PathBuf,
    /// A picture to ask about
    #[arg(
        long,
        value_name = "FILE",
        default_value = "examples/pictures/red-circle.png"
    )]
    pub(crate) picture: PathBuf,
    /// Give every visitor a tenant and a key, and have keys made and revoked
    #[arg(long)]
    pub(crate) keys: bool,
    /// Folder for what the server stores, which stays [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Where the server's log goes [default: nowhere]
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    /// Where the summary goes as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Further flags of the server
    #[arg(last = true, value_name = "FLAGS")]
    pub(crate) serve_flags: Vec<String>,
}

fn main() -> Result<ExitCode> {
    let flags = Flags::parse();
    // Visitors are cheap; the processor is the server's.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build()?;
    let summary = runtime.block_on(soak::run(&flags))?;
    summary.print();
    if let Some(path) = &flags.json {
        summary.write(path)?;
    }
    Ok(match summary.has_passed() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
