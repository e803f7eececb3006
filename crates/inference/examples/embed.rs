//! Embeds random words at the shapes of the benchmark and prints sequences a second.
//!
//!     cargo run --release -p longtrainer-inference --example embed -- MODEL_FOLDER [f32|bf16|mixed|int8]

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use longtrainer_inference::{BertEmbedder, Embedder, EmbedderOptions, Precision};

/// Texts at a time, and tokens of each with the two special ones.
const SHAPES: [(usize, usize); 4] = [(1, 16), (1, 128), (32, 128), (32, 256)];
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name a model folder")?;
    let options = EmbedderOptions {
        precision: match std::env::args().nth(2).as_deref() {
            None => Precision::default(),
            Some("f32") => Precision::F32,
            Some("bf16") => Precision::Bf16,
            Some("mixed") => Precision::Mixed,
            Some("int8") => Precision::Int8,
            Some(other) => return Err(format!("{other} is no precision").into()),
        },
        ..Default::default()
    };
    let embedder = BertEmbedder::load("example", Path::new(&folder), "", &options)?;
    let mut out = std::io::stdout().lock();
    for (texts, tokens) in SHAPES {
        let text = "word ".repeat(tokens - 2);
        let batch = vec![text.as_str(); texts];
        embedder.embed(&batch)?;
        let mut rates = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let started = Instant::now();
            embedder.embed(&batch)?;
            rates.push(texts as f64 / started.elapsed().as_secs_f64());
        }
        rates.sort_by(f64::total_cmp);
        let median = rates[ROUNDS / 2];
        let spread = rates[ROUNDS - 1] - rates[0];
        writeln!(
            out,
            "{texts} x {tokens}: {median:.1} sequences/s, spread {spread:.1}"
        )?;
    }
    Ok(())
}
