//! How well a GGUF model predicts a text, for comparison with other implementations.
//!
//!     cargo run --release -p longtrainer-inference --example perplexity -- MODEL.gguf TOKENS.json \
//!         [--window 512] [--logits OUT --positions 2048]
//!
//! Reads a JSON array of token ids, cuts it into windows that each start from an empty context, and
//! prints JSON: `perplexity` over all predicted tokens, `perplexity_second_half` over those that at
//! least half a window comes before. `--logits` writes the log-probabilities of all tokens after the
//! first positions, as rows of little-endian half-precision numbers.
//! `scripts/reference/perplexity.py` runs it.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use longtrainer_inference::{BareTextModel, TextModelOptions};

struct Arguments {
    model: PathBuf,
    tokens: PathBuf,
    window: usize,
    logits: Option<PathBuf>,
    positions: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let tokens: Vec<u32> = serde_json::from_slice(&fs::read(&arguments.tokens)?)?;
    let mut model = BareTextModel::load("example", &arguments.model, &TextModelOptions::default())?;
    let mut out = arguments.logits.as_deref().map(create).transpose()?;
    let mut left = arguments.positions;
    let (mut all, mut second_half) = (Mean::default(), Mean::default());
    for window in tokens.chunks_exact(arguments.window) {
        model.clear();
        let mut logits = model.read_all(window)?;
        for (position, row) in logits.chunks_exact_mut(model.vocabulary()).enumerate() {
            to_log_probabilities(row);
            if let Some(next) = window.get(position + 1) {
                all.add(-f64::from(row[*next as usize]));
                if position >= arguments.window / 2 {
                    second_half.add(-f64::from(row[*next as usize]));
                }
            }
            if let Some(out) = out.as_mut().filter(|_| left > 0) {
                write_halves(out, row)?;
                left -= 1;
            }
        }
    }
    if let Some(mut out) = out {
        out.flush()?;
    }
    let report = serde_json::json!({
        "perplexity": all.mean().exp(),
        "perplexity_second_half": second_half.mean().exp(),
        "tokens": tokens.len() / arguments.window * arguments.window,
        "window": arguments.window,
    });
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

#[derive(Default)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}

fn to_log_probabilities(logits: &mut [f32]) {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits
        .iter()
        .map(|logit| f64::from(logit - greatest).exp())
        .sum();
    let total = greatest + sum.ln() as f32;
    logits.iter_mut().for_each(|logit| *logit -= total);
}

fn create(path: &Path) -> std::io::Result<BufWriter<File>> {
    File::create(path).map(BufWriter::new)
}

fn write_halves(out: &mut impl Write, row: &[f32]) -> std::io::Result<()> {
    let bytes: Vec<u8> = row
        .iter()
        .flat_map(|value| half::f16::from_f32(*value).to_le_bytes())
        .collect();
    out.write_all(&bytes)
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let mut arguments = Arguments {
        model: words.next().ok_or("name a GGUF file")?.into(),
        tokens: words.next().ok_or("name a file of tokens")?.into(),
        window: 512,
        logits: None,
        positions: 2048,
    };
    while let Some(word) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--window" => arguments.window = value.parse()?,
            "--logits" => arguments.logits = Some(value.into()),
            "--positions" => arguments.positions = value.parse()?,
            other => return Err(format!("{other} is not known").into()),
        }
    }
    if arguments.window < 2 {
        return Err("a window has two tokens at least".into());
    }
    Ok(arguments)
}
