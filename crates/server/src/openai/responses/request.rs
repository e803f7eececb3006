//! What a response is asked for.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::input::{Input, messages};
use super::reply::Told;
use crate::openai::asking::Ask;
use crate::openai::body::{Fields, OpenAiBody};
use crate::openai::error::OpenAiError;
use crate::openai::format::{Shape, TextFormat};
use crate::openai::sampling::SamplingFields;
use crate::openai::stamp::Stamp;
use crate::openai::stream_options::{StreamOptions, with_usage};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::openai) struct ResponseRequest {
    model: String,
    input: Input,
    instructions: Option<String>,
    max_output_tokens: Option<usize>,
    text: Option<TextOptions>,
    #[serde(default)]
    stream: bool,
    stream_options: Option<StreamOptions>,
    /// Told again in the response.
    metadata: Option<Map<String, Value>>,
    tools: Option<Vec<Value>>,
    tool_choice: Option<Value>,
    parallel_tool_calls: Option<bool>,
    top_logprobs: Option<usize>,
    previous_response_id: Option<Value>,
    conversation: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextOptions {
    format: Option<TextFormat>,
    verbosity: Option<Medium>,
}

/// How much is said is up to the model.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Medium {
    Medium,
}

impl Fields for ResponseRequest {
    const HARMLESS: &'static [&'static str] = &[
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "store",
        "service_tier",
        "background",
        "truncation",
        "include",
        "reasoning",
    ];
}

/// What is still to be read, away from the runtime's threads.
pub(super) struct Asked {
    model: String,
    input: Input,
    instructions: Option<String>,
    max_tokens: Option<usize>,
    sampling: SamplingFields,
    shape: Option<Shape>,
}

/// Checks everything but the messages: whether a stream is wanted, and what the response says of its
/// request.
pub(super) fn check(body: OpenAiBody<ResponseRequest>) -> Result<(bool, Told, Asked), OpenAiError> {
    let OpenAiBody { fields, sampling } = body;
    fields.refuse_what_is_not_here()?;
    with_usage(fields.stream_options.as_ref(), fields.stream)?;
    let format = fields.text.and_then(|text| {
        let (Some(Medium::Medium) | None) = text.verbosity;
        text.format
    });
    let (shape, format) = format.map_or((None, json!({"type": "text"})), TextFormat::shape);
    let told = Told {
        stamp: Stamp::now("resp_", &fields.model),
        instructions: fields.instructions.clone(),
        max_output_tokens: fields.max_output_tokens,
        metadata: fields.metadata.unwrap_or_default(),
        parallel_tool_calls: fields.parallel_tool_calls.unwrap_or(true),
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        format,
    };
    let asked = Asked {
        model: fields.model,
        input: fields.input,
        instructions: fields.instructions,
        max_tokens: fields.max_output_tokens,
        sampling,
        shape,
    };
    Ok((fields.stream, told, asked))
}

impl ResponseRequest {
    fn refuse_what_is_not_here(&self) -> Result<(), OpenAiError> {
        let refuse = |field: &str, problem: &str| {
            Err(OpenAiError::unsupported(
                field,
                format!("{field}: {problem}"),
            ))
        };
        if self.previous_response_id.is_some() {
            let problem = "this server stores no responses; send the conversation as the input";
            return refuse("previous_response_id", problem);
        }
        if self.conversation.is_some() {
            let problem = "this server stores no conversations here; send them as the input";
            return refuse("conversation", problem);
        }
        if self.tools.as_ref().is_some_and(|tools| !tools.is_empty()) {
            let problem = "not on this route; /v1/chat/completions calls functions";
            return refuse("tools", problem);
        }
        let calls_none = |choice: &Value| *choice == json!("none") || *choice == json!("auto");
        if !self.tool_choice.as_ref().is_none_or(calls_none) {
            return refuse("tool_choice", "there are no tools to choose from");
        }
        if self.top_logprobs.is_some_and(|count| count > 0) {
            let problem = "not on this route; /v1/chat/completions tells log probabilities";
            return refuse("top_logprobs", problem);
        }
        Ok(())
    }
}

impl Asked {
    /// The question.
    pub(super) fn read(self) -> Result<Ask, OpenAiError> {
        let (messages, detail) = messages(self.instructions, self.input)?;
        Ok(Ask {
            model: self.model,
            messages,
            detail,
            max_tokens: self.max_tokens,
            sampling: self.sampling,
            stop: Vec::new(),
            shape: self.shape,
            top_logprobs: None,
        })
    }
}
