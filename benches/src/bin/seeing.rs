//! What does a vision model answer, and how sure is it? A worker for `scripts/reference/seeing.py`: it
//! loads a model, then answers each line on its standard input with one line of JSON on its standard
//! output, greedily.
//!
//! ```text
//! {"messages": [{"role": "user", "content": "What is it?", "pictures": ["a.png"]}],
//!  "detail": "low", "max_tokens": 32, "top": 20}
//! {"prompt_tokens": 91, "tokens": [17, ...], "top": [[[17, -0.5], ...], ...]}
//! ```
#![allow(clippy::print_stdout, reason = "answering is what this program is for")]

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Parser;
use longtrainer_benches::PrecisionFlag;
use longtrainer_inference::{
    Detail, GenerateRequest, GgufTextModel, Message, Picture, Role, StreamItem, TextModel,
    TextModelOptions, VisionModel, VisionModelOptions,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Answers questions about pictures.
#[derive(Parser)]
struct Flags {
    /// Folder of an Idefics3 or SmolVLM.
    #[arg(long)]
    model: PathBuf,
    /// What the products of the vision half are computed in.
    #[arg(long, default_value = "f32")]
    precision: PrecisionFlag,
}

#[derive(Deserialize)]
struct Question {
    messages: Vec<Turn>,
    detail: String,
    max_tokens: usize,
    top: usize,
}

#[derive(Deserialize)]
struct Turn {
    role: String,
    content: String,
    #[serde(default)]
    pictures: Vec<PathBuf>,
}

fn main() -> Result<()> {
    let flags = Flags::parse();
    let model = load(&flags)?;
    println!(
        "{}",
        json!({"isa": longtrainer_kernels::Isa::active().name()})
    );
    for line in std::io::stdin().lock().lines() {
        let question: Question = serde_json::from_str(&line?)?;
        println!("{}", answer(&model, question)?);
    }
    Ok(())
}

fn load(flags: &Flags) -> Result<VisionModel> {
    let text = GgufTextModel::load("text", &flags.model, &TextModelOptions::default())?;
    let options = VisionModelOptions {
        precision: flags.precision.into(),
        ..VisionModelOptions::default()
    };
    let model = VisionModel::load("seeing", Arc::new(text), &flags.model, None, &options)?;
    Ok(model)
}

fn answer(model: &VisionModel, question: Question) -> Result<Value> {
    let messages = question.messages.into_iter().map(message);
    let request = GenerateRequest {
        detail: Some(detail(&question.detail)?),
        top_logprobs: Some(question.top),
        ..GenerateRequest::new(messages.collect::<Result<_>>()?, question.max_tokens)
    };
    let (mut tokens, mut top) = (Vec::new(), Vec::new());
    for item in model.generate(request)? {
        match item? {
            StreamItem::Token(token) => {
                tokens.push(token.chosen.token);
                let likeliest = token.top.iter().map(|each| (each.token, each.logprob));
                top.push(likeliest.collect::<Vec<_>>());
            }
            StreamItem::Text(_) => {}
            StreamItem::Done(end) => {
                let prompt_tokens = end.usage.prompt_tokens;
                return Ok(json!({"prompt_tokens": prompt_tokens, "tokens": tokens, "top": top}));
            }
        }
    }
    bail!("the answer broke off")
}

fn message(turn: Turn) -> Result<Message> {
    let role = match turn.role.as_str() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        other => bail!("no role {other}"),
    };
    let pictures = turn.pictures.iter().map(|path| picture(path));
    Ok(Message {
        pictures: pictures.collect::<Result<_>>()?,
        ..Message::new(role, turn.content)
    })
}

fn picture(path: &Path) -> Result<Picture> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Ok(Picture::new(path.display().to_string(), bytes))
}

fn detail(name: &str) -> Result<Detail> {
    match name {
        "low" => Ok(Detail::Low),
        "auto" => Ok(Detail::Auto),
        "high" => Ok(Detail::High),
        other => bail!("no detail {other}"),
    }
}
