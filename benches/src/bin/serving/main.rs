//! How fast is the engine when several people ask at once? Serves one text model over HTTP on this
//! machine alone, with no documents, store or facade around it, for `benches/peers/serving.py`,
//! which asks it and llama-server the same questions and measures both from outside.
//!
//! ```sh
//! cargo run --release -p longtrainer-benches --bin serving -- --model-file MODEL.gguf --port 8081
//! ```
#![allow(
    clippy::print_stdout,
    reason = "the address and the template are what this program has to say"
)]

mod wire;

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Result;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Sse;
use axum::response::sse::Event;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use clap::{Parser, Subcommand};
use futures_core::Stream;
use futures_lite::StreamExt;
use longtrainer::DEFAULT_PROMPT_TEMPLATE;
use longtrainer_benches::EngineFlags;
use longtrainer_inference::{GgufTextModel, TextModel, TextStream};
use tokio::net::TcpListener;

use wire::{ChatRequest, Refusal, event};

#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves a model until the process is ended
    Serve {
        /// The port; 0 takes any that is free
        #[arg(long, default_value_t = 0)]
        port: u16,
        #[command(flatten)]
        engine: EngineFlags,
    },
    /// Prints the prompt that bots answer from passages with
    PromptTemplate,
}

type Model = Arc<GgufTextModel>;

fn main() -> Result<()> {
    match Flags::parse().command {
        Command::PromptTemplate => print!("{DEFAULT_PROMPT_TEMPLATE}"),
        Command::Serve { port, engine } => serve(Arc::new(engine.load()?), port)?,
    }
    Ok(())
}

/// One thread for the connections: what they need of the processor is taken from the model.
fn serve(model: Model, port: u16) -> Result<()> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        println!("http://{}", listener.local_addr()?);
        // Each token is a small packet, which must not wait for the one before it.
        let listener = listener.tap_io(|connection| {
            let _ = connection.set_nodelay(true);
        });
        axum::serve(listener, routes(model)).await?;
        Ok(())
    })
}

fn routes(model: Model) -> Router {
    Router::new()
        .route("/health", get(|| async { "ok" }))
        .route("/v1/chat/completions", post(answer))
        .with_state(model)
}

/// A client that leaves drops the stream, which cancels the request.
async fn answer(
    State(model): State<Model>,
    Json(asked): Json<ChatRequest>,
) -> Result<Sse<impl Stream<Item = Result<Event, axum::Error>>>, Refusal> {
    let stream = submit(model, asked).await?;
    Ok(Sse::new(StreamExt::filter_map(stream, event)))
}

/// Queues the request, from a thread that may take its time: the prompt is turned into tokens there.
async fn submit(model: Model, asked: ChatRequest) -> Result<TextStream, Refusal> {
    let submitted = tokio::task::spawn_blocking(move || model.generate(asked.into())).await;
    match submitted {
        Ok(stream) => Ok(stream?),
        Err(panic) => Err(Refusal {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            message: panic.to_string(),
        }),
    }
}
