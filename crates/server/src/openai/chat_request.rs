//! What a chat completion is asked for.

use serde::Deserialize;

use super::asking::Ask;
use super::body::{Fields, OpenAiBody};
use super::chat_message::{self, ChatMessage};
use super::error::OpenAiError;
use super::format::ResponseFormat;
use super::sampling::SamplingFields;
use super::stop::{Stop, stops};
use super::stream_options::{StreamOptions, with_usage};
use super::tools::{SentTool, ToolChoice, Tools};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChatRequest {
    model: String,
    messages: Vec<ChatMessage>,
    #[serde(default)]
    stream: bool,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<usize>,
    max_completion_tokens: Option<usize>,
    stop: Option<Stop>,
    logprobs: Option<bool>,
    top_logprobs: Option<usize>,
    response_format: Option<ResponseFormat>,
    tools: Option<Vec<SentTool>>,
    tool_choice: Option<ToolChoice>,
    parallel_tool_calls: Option<bool>,
}

impl Fields for ChatRequest {
    const HARMLESS: &'static [&'static str] = &[
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "metadata",
        "store",
        "n",
        "service_tier",
        "modalities",
        "verbosity",
        "functions",
        "function_call",
    ];
}

/// How the answer is given.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) with_usage: bool,
    pub(super) with_logprobs: bool,
    /// `None` where no function may be called.
    pub(super) must_call: Option<bool>,
}

/// What is still to be read, away from the runtime's threads: pictures take their time.
pub(super) struct Asked {
    sent: Vec<ChatMessage>,
    rest: Rest,
    pub(super) tools: Option<Tools>,
}

struct Rest {
    model: String,
    max_tokens: Option<usize>,
    sampling: SamplingFields,
    stop: Vec<String>,
    format: Option<ResponseFormat>,
    top_logprobs: Option<usize>,
}

/// Checks everything but the messages.
pub(super) fn check(body: OpenAiBody<ChatRequest>) -> Result<(Manner, Asked), OpenAiError> {
    let OpenAiBody { fields, sampling } = body;
    let top_logprobs = top_logprobs(fields.logprobs, fields.top_logprobs)?;
    let max_tokens = max_tokens(fields.max_tokens, fields.max_completion_tokens)?;
    let tools = Tools::of(fields.tools, fields.tool_choice, fields.parallel_tool_calls)?;
    let manner = Manner {
        model: fields.model.clone(),
        stream: fields.stream,
        with_usage: with_usage(fields.stream_options.as_ref(), fields.stream)?,
        with_logprobs: top_logprobs.is_some(),
        must_call: tools.as_ref().map(|tools| tools.must_call),
    };
    let rest = Rest {
        model: fields.model,
        max_tokens,
        sampling,
        stop: stops(fields.stop)?,
        format: fields.response_format,
        top_logprobs,
    };
    let sent = fields.messages;
    Ok((manner, Asked { sent, rest, tools }))
}

impl Asked {
    /// The question and the functions that may be called.
    pub(super) fn read(self) -> Result<(Ask, Option<Tools>), OpenAiError> {
        let (messages, detail) = chat_message::messages(self.sent)?;
        let rest = self.rest;
        let ask = Ask {
            model: rest.model,
            messages,
            detail,
            max_tokens: rest.max_tokens,
            sampling: rest.sampling,
            stop: rest.stop,
            shape: rest.format.and_then(ResponseFormat::shape),
            top_logprobs: rest.top_logprobs,
        };
        Ok((ask, self.tools))
    }
}

fn top_logprobs(logprobs: Option<bool>, top: Option<usize>) -> Result<Option<usize>, OpenAiError> {
    match (logprobs.unwrap_or(false), top) {
        (true, top) => Ok(Some(top.unwrap_or(0))),
        (false, None | Some(0)) => Ok(None),
        (false, Some(_)) => {
            let message = "top_logprobs: only together with logprobs";
            Err(OpenAiError::field("top_logprobs", message))
        }
    }
}

/// The old name and the new one.
fn max_tokens(old: Option<usize>, new: Option<usize>) -> Result<Option<usize>, OpenAiError> {
    match (old, new) {
        (Some(old), Some(new)) if old != new => {
            let message = "max_tokens and max_completion_tokens differ: give one of them";
            Err(OpenAiError::field("max_completion_tokens", message))
        }
        (old, new) => Ok(new.or(old)),
    }
}
