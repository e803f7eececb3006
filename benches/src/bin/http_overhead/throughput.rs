//! What HTTP takes from the tokens a second of several chats.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::Ways;
use crate::sample::{Sample, in_turns};
use crate::server::{Form, answer, question};

/// How much is asked in a round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Chats at once.
    pub(crate) chats: usize,
    /// Questions of each, one after the other.
    pub(crate) answers: usize,
    /// Most tokens of an answer.
    pub(crate) max_tokens: usize,
}

/// Tokens a second of each round, by form and way.
pub(crate) fn measure(ways: &Ways, rounds: usize, load: &Load) -> Result<Value> {
    let mut measured =
        json!({"chats": load.chats, "answers": load.answers, "max_tokens": load.max_tokens});
    // One round that is not counted warms both ways up.
    let numbers = (0..=rounds).map(|turn| turn * 2 * load.questions());
    for (turn, first) in numbers.enumerate() {
        for (name, form, first) in [
            ("streamed", Form::Streamed, first),
            ("whole", Form::Whole, first + load.questions()),
        ] {
            let found = round(ways, turn, load, form, first)?;
            eprintln!("throughput, {name}: {found}");
            if turn > 0 {
                push(&mut measured[name], found);
            }
        }
    }
    Ok(measured)
}

impl Load {
    fn questions(&self) -> usize {
        self.chats * self.answers
    }
}

/// Both ways get the same questions, which neither has heard before.
fn round(ways: &Ways, turn: usize, load: &Load, form: Form, first: usize) -> Result<Value> {
    let chats: Vec<Vec<String>> = (0..load.chats)
        .map(|chat| {
            let first = first + chat * load.answers;
            let numbers = first..first + load.answers;
            numbers.map(|number| ways.texts.question(number)).collect()
        })
        .collect();
    let requests = chats.iter().map(|chat| {
        let asked = |text: &String| question(&ways.engine.text_model, text, load.max_tokens, form);
        chat.iter().map(asked).collect()
    });
    let requests = requests.collect();
    let (engine, server) = in_turns(
        turn,
        || Sample::take(|| ways.engine.chats(&chats, load.max_tokens)),
        || Sample::take(|| ways.server.chats(requests)),
    )?;
    let replies = server.found.iter().map(|reply| answer(reply, form));
    let replies = replies.collect::<Result<Vec<_>>>()?;
    for (asked, (ours, theirs)) in chats.concat().iter().zip(engine.found.iter().zip(&replies)) {
        ensure!(
            ours == theirs,
            "{asked:?}: the engine says {ours:?}, the server {theirs:?}"
        );
    }
    let tokens = replies.iter().map(|answer| answer.tokens).sum();
    Ok(json!({"tokens": tokens, "engine": engine.rate(tokens), "server": server.rate(tokens)}))
}

/// Adds to a list that may not be there yet.
fn push(list: &mut Value, value: Value) {
    match list {
        Value::Array(list) => list.push(value),
        _ => *list = Value::Array(vec![value]),
    }
}
