//! What a request costs more than the engine's own time: a short question whose prompt is known,
//! answered with one token.

use std::time::Duration;

use anyhow::{Result, ensure};
use longtrainer_benches::{Asked, median};
use serde_json::{Value, json};

use crate::Ways;
use crate::sample::{Sample, milliseconds};
use crate::server::{Form, answer, question};

const QUESTION: &str = "Is water wet? Answer yes or no.";

/// The medians of each round in milliseconds, by way.
pub(crate) fn measure(ways: &Ways, rounds: usize, requests: usize) -> Result<Value> {
    check_alike(ways)?;
    let rounds = (0..rounds).map(|turn| round(ways, turn, requests));
    let rounds = rounds.collect::<Result<Vec<_>>>()?;
    Ok(json!({"requests": requests, "rounds": rounds}))
}

/// Both ways read the prompt, keep it, and say the same.
fn check_alike(ways: &Ways) -> Result<()> {
    let expected = ways.engine.answer(QUESTION, 1)?;
    for form in [Form::Whole, Form::Streamed] {
        let replies = ways.server.chats(vec![vec![asked(ways, form)]])?;
        for reply in replies {
            let found = answer(&reply, form)?;
            ensure!(
                found == expected,
                "the server says {found:?}, not {expected:?}"
            );
        }
    }
    Ok(())
}

fn round(ways: &Ways, turn: usize, requests: usize) -> Result<Value> {
    let mut order = ["engine", "whole", "streamed", "health"];
    order.rotate_left(turn % 4);
    let mut medians = json!({});
    for way in order {
        let times = Sample::take(|| times(ways, way, requests))?.found;
        medians[way] = milliseconds(median(times)).into();
    }
    eprintln!("latency: {medians}");
    Ok(medians)
}

fn times(ways: &Ways, way: &str, requests: usize) -> Result<Vec<Duration>> {
    match way {
        "engine" => ways.engine.times(QUESTION, requests),
        "whole" => ways.server.times(&asked(ways, Form::Whole), requests),
        "streamed" => ways.server.times(&asked(ways, Form::Streamed), requests),
        // HTTP with nothing behind it.
        _ => ways.server.times(&Asked::get("/health"), requests),
    }
}

fn asked(ways: &Ways, form: Form) -> Asked {
    question(&ways.engine.text_model, QUESTION, 1, form)
}
