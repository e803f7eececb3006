//! Does the engine stay well for hours? Many clients ask one model in this process at random: short
//! and long prompts, all kinds of sampling, stop strings, repeated questions, requests that must be
//! refused, readers that are slow and readers that leave, while they wait, while their prompt is
//! read or in the middle of the answer.
//!
//! ```sh
//! cargo run --release -p longtrainer-benches --bin soak -- --model-file MODEL.gguf --minutes 60 \
//!     --threads 2 --queue-limit 12 --cache-bytes 300000000
//! ```
//!
//! A line a minute says what happened. It passes if every request ended exactly once and in time,
//! repeated questions always got the same answer, and memory stopped growing; the exit code tells.
#![allow(
    clippy::print_stdout,
    reason = "the line a minute is what this program is for"
)]

mod client;
mod known;
mod plan;
mod tally;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use longtrainer_benches::{EngineFlags, MemoryLog, resident_memory};
use longtrainer_inference::TextModel;

use client::Client;
use known::KnownAnswers;
use plan::Planner;
use tally::Tally;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    engine: EngineFlags,
    /// How long
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// Clients, each of which has one request at a time
    #[arg(long, default_value_t = 24)]
    clients: usize,
    /// Longest pause between two requests of a client, in seconds
    #[arg(long, default_value_t = 4.0)]
    pause: f64,
    /// Seconds without a sign of life after which a request counts as lost
    #[arg(long, default_value_t = 300)]
    patience: u64,
    /// What the requests are drawn from; the same seed asks the same
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A text of some thousand words that prompts are cut from
    #[arg(long, value_name = "FILE", default_value = "ARCHITECTURE.md")]
    text: PathBuf,
}

/// What the clients share.
pub(crate) struct Soak {
    pub(crate) model: Box<dyn TextModel>,
    pub(crate) planner: Planner,
    pub(crate) known: KnownAnswers,
    pub(crate) tally: Tally,
    pub(crate) pause: Duration,
    pub(crate) end: Instant,
}

fn main() -> Result<ExitCode> {
    let flags = Flags::parse();
    let soak = Arc::new(start(&flags)?);
    let clients: Vec<_> = (0..flags.clients)
        .map(|number| spawn(&soak, flags.seed, number))
        .collect();
    let memory = watch(&soak, &clients, Duration::from_secs(flags.patience));
    soak.tally.print(soak.model.memory_bytes());
    for complaint in memory.complaint().into_iter().chain(panics(clients)) {
        soak.tally.complain(complaint);
    }
    Ok(verdict(&soak))
}

fn start(flags: &Flags) -> Result<Soak> {
    ensure!(flags.clients > 0, "--clients starts at 1");
    let text = read(&flags.text)?;
    let model = flags.engine.load()?;
    let planner = Planner::new(&text, model.info().context_length, flags.seed)?;
    Ok(Soak {
        model: Box::new(model),
        planner,
        known: KnownAnswers::default(),
        tally: Tally::new(flags.clients),
        pause: Duration::try_from_secs_f64(flags.pause).context("--pause")?,
        end: Instant::now()
            + Duration::try_from_secs_f64(flags.minutes * 60.0).context("--minutes")?,
    })
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn spawn(soak: &Arc<Soak>, seed: u64, number: usize) -> JoinHandle<()> {
    let soak = Arc::clone(soak);
    thread::spawn(move || Client::new(&soak, seed, number).run())
}

/// Notes memory and prints a line a minute until all clients have ended, or one hears nothing more.
fn watch(soak: &Soak, clients: &[JoinHandle<()>], patience: Duration) -> MemoryLog {
    let mut memory = MemoryLog::new(soak.end);
    let mut next_line = Instant::now() + Duration::from_secs(60);
    while clients.iter().any(|client| !client.is_finished()) {
        thread::sleep(Duration::from_secs(1));
        memory.note(resident_memory());
        if Instant::now() >= next_line {
            soak.tally.print(soak.model.memory_bytes());
            next_line += Duration::from_secs(60);
        }
        if let Some(silent) = soak.tally.longest_silence()
            && silent > patience
        {
            let seconds = silent.as_secs();
            soak.tally
                .complain(format!("nothing came for {seconds} seconds"));
            break;
        }
    }
    memory
}

/// What the clients that have ended ended with.
fn panics(clients: Vec<JoinHandle<()>>) -> Option<String> {
    let ended = clients.into_iter().filter(JoinHandle::is_finished);
    let panicked = ended.filter_map(|client| client.join().err()).count();
    (panicked > 0).then(|| format!("{panicked} clients ended in a panic"))
}

/// A client that was lost keeps its thread and the model; returning from `main` ends them.
fn verdict(soak: &Soak) -> ExitCode {
    let complaints = soak.tally.complaints();
    for complaint in &complaints {
        println!("wrong: {complaint}");
    }
    match complaints.is_empty() {
        true => {
            println!("passed");
            ExitCode::SUCCESS
        }
        false => {
            println!("failed");
            ExitCode::FAILURE
        }
    }
}
