//! OpenAI's routes: a model or a bot, whole, streamed, left; texts gone on with; vectors.

use longtrainer_benches::Asked;
use rand::Rng;
use serde_json::{Value, json};

use super::Acted;
use super::chats::{ended, leave_midway};
use super::events::Events;
use crate::tally::Ending;
use crate::trouble::Trouble;
use crate::visitor::Visitor;

const CHAT: &str = "/v1/chat/completions";

/// A question for a model.
fn question(visitor: &mut Visitor, model: &str, stream: bool) -> Value {
    let about = visitor.words(60);
    let mut body = json!({
        "model": model,
        "messages": [{"role": "user", "content": format!("Go on: {about}")}],
        "max_tokens": visitor.random.random_range(1..48),
        "temperature": visitor.random.random_range(0.0..1.5),
        "stream": stream,
    });
    if stream {
        body["stream_options"] = json!({"include_usage": true});
    }
    if visitor.random.random_bool(0.2) {
        body["logprobs"] = json!(true);
        body["top_logprobs"] = json!(3);
    }
    body
}

/// A whole answer of the model.
pub(super) async fn whole(visitor: &mut Visitor) -> Acted {
    let model = visitor.soak.text_model.clone();
    let asked = Asked::post(CHAT, &question(visitor, &model, false));
    let answer = visitor.get_done(&asked).await?;
    has(&asked, &answer, "/choices/0/message/content")
}

/// The answer of a bot to a question that comes without a chat.
pub(super) async fn bot_as_model(visitor: &mut Visitor) -> Acted {
    let Some(bot) = visitor.any_bot() else {
        return Ok(Ending::Idle);
    };
    let mut body = question(visitor, &bot, false);
    body["logprobs"] = json!(false);
    if let Some(fields) = body.as_object_mut() {
        fields.remove("top_logprobs");
    }
    let asked = Asked::post(CHAT, &body);
    let answer = visitor.get_done(&asked).await?;
    has(&asked, &answer, "/choices/0/message/content")
}

/// An answer of the model, read to its end, at times slowly.
pub(super) async fn stream(visitor: &mut Visitor) -> Acted {
    let model = visitor.soak.text_model.clone();
    let asked = Asked::post(CHAT, &question(visitor, &model, true));
    let pause = visitor.dawdle();
    let mut events = Events::new(visitor.pieces(&asked).await?);
    while let Some(event) = events.next(pause).await? {
        if event.data == "[DONE]" {
            return Ok(Ending::Done);
        }
        if event.data.contains("\"error\"") {
            return Err(Trouble::lacks(&asked.name(), "answer", &event.data));
        }
    }
    Err(ended(&asked))
}

/// Leaves a stream of the model.
pub(super) async fn leave(visitor: &mut Visitor) -> Acted {
    let model = visitor.soak.text_model.clone();
    let asked = Asked::post(CHAT, &question(visitor, &model, true));
    leave_midway(visitor, &asked).await
}

/// Has a text gone on with.
pub(super) async fn complete(visitor: &mut Visitor) -> Acted {
    let prompt = visitor.words(40);
    let body = json!({"model": visitor.soak.text_model, "prompt": prompt, "max_tokens": 12});
    let asked = Asked::post("/v1/completions", &body);
    let answer = visitor.get_done(&asked).await?;
    has(&asked, &answer, "/choices/0/text")
}

/// The same by the newest of OpenAI's routes.
pub(super) async fn respond(visitor: &mut Visitor) -> Acted {
    let input = visitor.words(40);
    let body = json!({"model": visitor.soak.text_model, "input": input, "max_output_tokens": 16, "store": false});
    let asked = Asked::post("/v1/responses", &body);
    let answer = visitor.get_done(&asked).await?;
    has(&asked, &answer, "/output/0/content/0/text")
}

/// Embeds a few texts.
pub(super) async fn embed(visitor: &mut Visitor) -> Acted {
    let count = visitor.random.random_range(1..8);
    let texts: Vec<_> = (0..count).map(|_| visitor.words(120)).collect();
    let encoding = match visitor.random.random_bool(0.5) {
        true => "float",
        false => "base64",
    };
    let body = json!({
        "model": visitor.soak.embedding_model,
        "input": texts,
        "encoding_format": encoding,
        "truncate": true,
    });
    let asked = Asked::post("/v1/embeddings", &body);
    let answer = visitor.get_done(&asked).await?;
    has(&asked, &answer, &format!("/data/{}/embedding", count - 1))
}

fn has(asked: &Asked, answer: &Value, pointer: &str) -> Acted {
    match answer.pointer(pointer) {
        Some(Value::Null) | None => {
            Err(Trouble::lacks(&asked.name(), pointer, &answer.to_string()))
        }
        Some(_) => Ok(Ending::Done),
    }
}
