//! How long does the main job take? Embedding a document's chunks, and answering a question about
//! it, with the default models. Prints the table that the README shows.
//!
//! Data: the sample document. Command, from the root of the repository, models pulled before:
//!
//! ```sh
//! cargo run --release -p longtrainer-benches --bin foundation
//! ```
#![allow(
    clippy::print_stdout,
    reason = "printing the table is what this program is for"
)]

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use longtrainer::models::RegistryOptions;
use longtrainer::{BotOptions, LongTrainer, ResponseOptions};
use longtrainer_benches::{median, median_time, peak_memory};

const DOCUMENT: &str = "examples/documents/island-countries.pdf";
const QUESTION: &str = "What is the population of Iceland?";
const RUNS: usize = 5;
const ANSWER_TOKENS: usize = 64;

struct Answered {
    first_token: Duration,
    prompt_tokens: usize,
    tokens_per_second: u64,
}

fn main() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let trainer = LongTrainer::builder(dir.path())
        .registry(RegistryOptions {
            offline: true,
            ..RegistryOptions::from_env()
        })
        .build()?;
    let bot = trainer.initialize_bot_id()?;
    trainer.add_document_from_path(Path::new(DOCUMENT), &bot)?;
    let chunking = BotOptions {
        chunk_size: Some(512),
        chunk_overlap: Some(0),
        ..BotOptions::default()
    };
    trainer.create_bot(&bot, chunking)?;
    trainer.load_bot(&bot)?;

    let mut chunks = 0;
    let embedding = median_time(RUNS, || {
        chunks = trainer.reindex(&bot, None, &mut |_| {})?.chunks;
        Ok::<_, longtrainer::Error>(())
    })?;
    let search = median_time(RUNS, || {
        trainer.invoke_vectorstore(&bot, QUESTION).map(drop)
    })?;
    trainer.create_bot(
        &bot,
        BotOptions {
            chunk_size: Some(longtrainer::DEFAULT_CHUNKING.chunk_size),
            chunk_overlap: Some(longtrainer::DEFAULT_CHUNKING.chunk_overlap),
            ..BotOptions::default()
        },
    )?;
    let answers = (0..RUNS)
        .map(|_| answer(&trainer, &bot))
        .collect::<Result<Vec<_>>>()?;
    let first_token = median(answers.iter().map(|answer| answer.first_token).collect());
    let tokens_per_second = median(
        answers
            .iter()
            .map(|answer| answer.tokens_per_second)
            .collect(),
    );
    let prompt_tokens = median(answers.iter().map(|answer| answer.prompt_tokens).collect());

    println!("| what | measured |");
    println!("|---|---|");
    println!(
        "| build: split, embed, store, index ({chunks} chunks of 512 characters) | {:.0} texts/s |",
        chunks as f64 / embedding.as_secs_f64()
    );
    println!(
        "| search: embed a question, find 3 passages | {:.1} ms |",
        milliseconds(search)
    );
    println!(
        "| time to first token, prompt of {prompt_tokens} tokens | {:.2} s |",
        first_token.as_secs_f64()
    );
    println!("| decoding | {tokens_per_second} tokens/s |");
    if let Some(bytes) = peak_memory() {
        println!(
            "| peak memory, both models loaded | {} MB |",
            bytes / 1_000_000
        );
    }
    Ok(())
}

fn answer(trainer: &LongTrainer, bot: &longtrainer::BotId) -> Result<Answered> {
    let chat = trainer.new_chat(bot)?;
    let options = ResponseOptions {
        max_tokens: Some(ANSWER_TOKENS),
        ..ResponseOptions::default()
    };
    let usage = trainer.get_response(QUESTION, bot, &chat, options)?.usage;
    let after_first = usage.completion_tokens.saturating_sub(1) as f64;
    Ok(Answered {
        first_token: usage.time_to_first_token,
        prompt_tokens: usage.prompt_tokens,
        tokens_per_second: (after_first / usage.decode_time.as_secs_f64()).round() as u64,
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
