//! What HTTP takes from the texts a second of many clients that embed, each a text at a time.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use longtrainer_benches::Asked;
use serde_json::{Value, json};

use crate::Ways;
use crate::sample::{Sample, in_turns};

/// What the components of the same text's vector may differ by: company changes how it is rounded.
const TOLERANCE: f32 = 0.01;

/// Texts a second of each round, by encoding and way.
pub(crate) fn measure(ways: &Ways, rounds: usize, clients: usize, count: usize) -> Result<Value> {
    let mut measured = json!({"clients": clients, "texts": count});
    for encoding in ["float", "base64"] {
        check_alike(ways, encoding)?;
        let mut found = Vec::with_capacity(rounds);
        // One round that is not counted warms both ways up.
        for turn in 0..=rounds {
            let rates = round(ways, turn, clients, count, encoding)?;
            eprintln!("embeddings, {encoding}: {rates}");
            if turn > 0 {
                found.push(rates);
            }
        }
        measured[encoding] = found.into();
    }
    Ok(measured)
}

fn round(ways: &Ways, turn: usize, clients: usize, count: usize, encoding: &str) -> Result<Value> {
    let first = turn * count;
    let requests = (first..first + count).map(|number| asked(ways, number, encoding));
    let requests = requests.collect();
    let (engine, server) = in_turns(
        turn,
        || Sample::take(|| ways.engine.embed_all(&ways.texts, first, count, clients)),
        || Sample::take(|| ways.server.share(requests, clients)),
    )?;
    Ok(json!({"engine": engine.rate(count), "server": server.rate(count)}))
}

/// A text that is longer than the model looks at is cut, both ways.
fn asked(ways: &Ways, number: usize, encoding: &str) -> Asked {
    let body = json!({
        "model": ways.engine.embedding_model,
        "input": ways.texts.get(number),
        "encoding_format": encoding,
        "truncate": true,
    });
    Asked::post("/v1/embeddings", &body)
}

/// Both ways make the same vector of the same text.
fn check_alike(ways: &Ways, encoding: &str) -> Result<()> {
    let expected = ways.engine.embed(ways.texts.get(0))?;
    let reply = ways.server.share(vec![asked(ways, 0, encoding)], 1)?;
    let reply: Value = serde_json::from_slice(&reply)?;
    let found = vector(&reply["data"][0]["embedding"]).context("no vector came")?;
    let alike = |(a, b): (&f32, &f32)| (a - b).abs() <= TOLERANCE;
    ensure!(
        found.len() == expected.len() && found.iter().zip(&expected).all(alike),
        "the server's vector is not the engine's"
    );
    Ok(())
}

fn vector(embedding: &Value) -> Option<Vec<f32>> {
    if let Some(text) = embedding.as_str() {
        let bytes = STANDARD.decode(text).ok()?;
        let numbers = bytes.as_chunks::<4>().0.iter();
        return Some(numbers.map(|bytes| f32::from_le_bytes(*bytes)).collect());
    }
    let numbers = embedding.as_array()?.iter();
    numbers.map(|one| Some(one.as_f64()? as f32)).collect()
}
