//! Log probabilities in the two forms that OpenAI has.

use longtrainer::{TokenChoice, TokenLogprob};
use serde_json::{Map, Value, json};

/// Of a chat: a list of tokens with the likeliest in their places.
pub(super) fn of_chat(choices: &[TokenChoice]) -> Value {
    let content: Vec<Value> = choices.iter().map(entry).collect();
    json!({"content": content, "refusal": null})
}

/// The entry of one token, as responses have it, too.
pub(super) fn entry(choice: &TokenChoice) -> Value {
    let mut entry = token(&choice.chosen);
    entry["top_logprobs"] = choice.top.iter().map(token).collect();
    entry
}

fn token(token: &TokenLogprob) -> Value {
    json!({"token": text(token), "logprob": token.logprob, "bytes": token.bytes})
}

/// Of a text completion: lists of the same length. `offset` is where the first token begins, in
/// characters.
pub(super) fn of_text(choices: &[TokenChoice], mut offset: usize) -> Value {
    let mut offsets = Vec::with_capacity(choices.len());
    for choice in choices {
        offsets.push(offset);
        offset += characters(choice);
    }
    let top = |choice: &TokenChoice| -> Map<String, Value> {
        let top = choice.top.iter();
        top.map(|one| (text(one), one.logprob.into())).collect()
    };
    json!({
        "tokens": choices.iter().map(|choice| text(&choice.chosen)).collect::<Vec<_>>(),
        "token_logprobs": choices.iter().map(|choice| choice.chosen.logprob).collect::<Vec<_>>(),
        "top_logprobs": choices.iter().map(top).collect::<Vec<_>>(),
        "text_offset": offsets,
    })
}

/// Characters that begin in a token.
pub(super) fn characters(choice: &TokenChoice) -> usize {
    let begins = |byte: &&u8| (**byte & 0xC0) != 0x80;
    choice.chosen.bytes.iter().filter(begins).count()
}

/// A token may end inside a character; `bytes` tell it exactly.
fn text(token: &TokenLogprob) -> String {
    String::from_utf8_lossy(&token.bytes).into_owned()
}
