//! Asks a GGUF model one question and prints the answer with what it cost.
//!
//!     cargo run --release -p longtrainer-inference --example generate -- MODEL.gguf "Question" [MAX_TOKENS]
//!
//! `--repeat N` after that asks N times; `--pad N` puts about N tokens of text before the question.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use longtrainer_inference::{
    GenerateRequest, GgufTextModel, Message, Role, StreamItem, TextModel, TextModelOptions,
};

struct Arguments {
    model: String,
    question: String,
    max_tokens: usize,
    repeat: usize,
    pad: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let started = Instant::now();
    let model = GgufTextModel::load(
        "example",
        Path::new(&arguments.model),
        &TextModelOptions::default(),
    )?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "loaded in {:.2} s", started.elapsed().as_secs_f64())?;
    for _ in 0..arguments.repeat {
        ask(&model, &arguments, &mut out)?;
    }
    Ok(())
}

fn ask(
    model: &GgufTextModel,
    arguments: &Arguments,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    let content = "word ".repeat(arguments.pad) + &arguments.question;
    let messages = vec![Message::new(Role::User, content)];
    let request = GenerateRequest::new(messages, arguments.max_tokens);
    for item in model.generate(request)? {
        match item? {
            StreamItem::Token(_) => (),
            StreamItem::Text(text) => write!(out, "{text}")?,
            StreamItem::Done(done) => {
                let usage = done.usage;
                let prefill = usage.time_to_first_token.as_secs_f64();
                let decode = usage.decode_time.as_secs_f64().max(f64::MIN_POSITIVE);
                writeln!(
                    out,
                    "\n{:?}: {} prompt tokens in {prefill:.2} s ({:.0}/s), {} tokens in {decode:.2} s ({:.1}/s)",
                    done.finish_reason,
                    usage.prompt_tokens,
                    usage.prompt_tokens as f64 / prefill,
                    usage.completion_tokens,
                    usage.completion_tokens.saturating_sub(1) as f64 / decode,
                )?;
            }
        }
        out.flush()?;
    }
    Ok(())
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let mut arguments = Arguments {
        model: words.next().ok_or("name a GGUF file")?,
        question: words.next().ok_or("ask a question")?,
        max_tokens: 128,
        repeat: 1,
        pad: 0,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--repeat" => {
                arguments.repeat = words.next().ok_or("--repeat needs a number")?.parse()?
            }
            "--pad" => arguments.pad = words.next().ok_or("--pad needs a number")?.parse()?,
            number => arguments.max_tokens = number.parse()?,
        }
    }
    Ok(arguments)
}
