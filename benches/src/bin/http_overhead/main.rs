//! What does HTTP cost over the engine itself? Asks the same of a running server and of the same models
//! in this process, in turns, for `benches/peers/http_figures.py`, which starts the server.
//!
//! ```sh
//! cargo run --release -p longtrainer-benches --bin http_overhead -- --address 127.0.0.1:8000 --texts TEXTS.json
//! ```
//!
//! The clients share the processor with what is measured, so they are cheap: one thread, connections that
//! are kept, answers that are only looked into once the clock has stopped. What they take of the processor
//! is told. Answers must be the same both ways, to the letter: what is compared is the same work.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what was measured is what this program has to say; how far it is goes beside it"
)]

mod embeddings;
mod engine;
mod latency;
mod sample;
mod server;
mod texts;
mod throughput;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use serde_json::{Value, json};

use engine::Engine;
use server::Server;
use texts::Texts;

#[derive(Parser)]
struct Flags {
    /// Host and port of a server with the same models as this process would load
    #[arg(long, value_name = "HOST:PORT")]
    address: String,
    /// A key of the server, if it wants one
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Texts to ask about and to embed: a JSON array of strings
    #[arg(long, value_name = "FILE")]
    texts: PathBuf,
    /// Folder of models [env: LONGTRAINER_MODELS=] [default: in this user's cache folder]
    #[arg(long, value_name = "DIR")]
    models_dir: Option<PathBuf>,
    /// What is measured; everything if not given
    #[arg(long = "figure", value_name = "NAME")]
    figures: Vec<Figure>,
    /// Rounds, in each of which both ways are asked
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Requests of a round that are timed one by one
    #[arg(long, default_value_t = 100)]
    requests: usize,
    /// Chats at once
    #[arg(long, default_value_t = 8)]
    chats: usize,
    /// Answers of a chat's client in a round
    #[arg(long, default_value_t = 3)]
    answers: usize,
    /// Most tokens of such an answer
    #[arg(long, default_value_t = 64)]
    max_tokens: usize,
    /// Clients that embed at once
    #[arg(long, default_value_t = 32)]
    embedding_clients: usize,
    /// Texts that are embedded in a round
    #[arg(long, default_value_t = 1024)]
    embedding_texts: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Figure {
    /// Milliseconds of a request that asks for one token.
    Latency,
    /// Tokens a second of several chats.
    Throughput,
    /// Texts a second of several clients that embed.
    Embeddings,
}

/// Both ways to ask, and what is asked.
pub(crate) struct Ways {
    pub(crate) engine: Engine,
    pub(crate) server: Server,
    pub(crate) texts: Texts,
}

fn main() -> Result<()> {
    let flags = Flags::parse();
    let ways = Ways {
        texts: Texts::read(&flags.texts)?,
        engine: Engine::open(flags.models_dir.clone())?,
        server: Server::new(&flags.address, flags.key.clone())?,
    };
    let measured = measure(&flags, &ways)?;
    println!("{measured}");
    Ok(())
}

fn measure(flags: &Flags, ways: &Ways) -> Result<Value> {
    let mut measured = json!({
        "text_model": ways.engine.text_model,
        "embedding_model": ways.engine.embedding_model,
    });
    if flags.wants(Figure::Latency) {
        measured["latency"] = latency::measure(ways, flags.rounds, flags.requests)?;
    }
    if flags.wants(Figure::Throughput) {
        let load = throughput::Load {
            chats: flags.chats,
            answers: flags.answers,
            max_tokens: flags.max_tokens,
        };
        measured["throughput"] = throughput::measure(ways, flags.rounds, &load)?;
    }
    if flags.wants(Figure::Embeddings) {
        let (clients, texts) = (flags.embedding_clients, flags.embedding_texts);
        measured["embeddings"] = embeddings::measure(ways, flags.rounds, clients, texts)?;
    }
    Ok(measured)
}

impl Flags {
    fn wants(&self, figure: Figure) -> bool {
        self.figures.is_empty() || self.figures.contains(&figure)
    }
}
