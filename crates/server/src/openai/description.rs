//! What OpenAI's routes take and give, for the description of the interface: the main fields. OpenAI's own
//! documentation, to which each type refers, tells of the rest; of requests, the fields that are not told
//! here are refused or honoured as [`super::harmless`] and the readers of the bodies say.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::openapi::responses::errors;
use crate::types::Passage;

errors! {
    OpenAiErrorBody;
    /// The route has a body.
    pub(super) Refused: 400 "The body is not what the route takes; `param` names the field",
                        413 "The body is too large",
                        415 "The body does not say that it is JSON";
    /// The request names a model.
    pub(super) UnknownModel: 404 "There is no such model or bot";
    /// The route needs a model.
    pub(super) NoModel: 503 "There is no room for the model, or it has too much to do";
}

/// Why a request is not answered. See <https://platform.openai.com/docs/guides/error-codes>.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiErrorBody {
    /// What is wrong.
    error: OpenAiErrorFields,
}

/// What is wrong.
#[derive(Serialize, ToSchema)]
struct OpenAiErrorFields {
    /// The reason, for a person.
    message: String,
    /// What kind of error it is.
    #[serde(rename = "type")]
    #[schema(example = "invalid_request_error")]
    kind: String,
    /// The field that is wrong.
    param: Option<String>,
    /// The reason, for a program.
    #[schema(example = "model_not_found")]
    code: Option<String>,
}

/// How the tokens of an answer are chosen: OpenAI's fields, and three as other local servers have them.
#[derive(Serialize, ToSchema)]
struct SamplingBody {
    /// 0 takes the likeliest token.
    temperature: Option<f32>,
    /// Only the likeliest tokens that together have this probability.
    top_p: Option<f32>,
    /// Against tokens that were there at all.
    presence_penalty: Option<f32>,
    /// Against tokens, the more often they were there.
    frequency_penalty: Option<f32>,
    /// What is added to the scores of tokens, by their numbers.
    #[schema(value_type = Option<Object>)]
    logit_bias: Option<Value>,
    /// The same seed gives the same answer.
    seed: Option<i64>,
    /// Ours: only so many of the likeliest tokens; 0 or less for all.
    top_k: Option<i64>,
    /// Ours: only tokens at least this likely, as a part of the likeliest one's probability.
    min_p: Option<f32>,
    /// Ours: against tokens that were there, as a factor.
    repetition_penalty: Option<f32>,
}

/// A chat that is to be gone on with. See <https://platform.openai.com/docs/api-reference/chat/create>.
#[derive(Serialize, ToSchema)]
pub(super) struct ChatCompletionRequest {
    /// A model, or a bot.
    #[schema(example = "SmolLM2-135M-Instruct")]
    model: String,
    /// What was said so far: objects with a `role`, and `content` that is text or parts, which may be
    /// pictures as data URLs.
    #[schema(value_type = Vec<Object>, min_items = 1,
             example = json!([{"role": "user", "content": "Who keeps the lighthouse?"}]))]
    messages: Vec<Value>,
    /// Whether the answer comes as events.
    stream: Option<bool>,
    /// `include_usage`: whether the last event tells the cost.
    #[schema(value_type = Option<Object>)]
    stream_options: Option<Value>,
    /// Most tokens of the answer.
    max_completion_tokens: Option<usize>,
    /// Its old name.
    max_tokens: Option<usize>,
    /// A text or several at which the answer ends.
    stop: Option<Value>,
    /// Whether the answer's tokens are told with their log probabilities.
    logprobs: Option<bool>,
    /// How many tokens are told that were nearly chosen.
    top_logprobs: Option<usize>,
    /// Text, a JSON object, or JSON of a schema.
    #[schema(value_type = Option<Object>)]
    response_format: Option<Value>,
    /// Functions that may be called.
    #[schema(value_type = Option<Vec<Object>>)]
    tools: Option<Vec<Value>>,
    /// `none`, `auto`, `required`, or an object that names a function.
    tool_choice: Option<Value>,
    /// Whether several functions may be called at once.
    parallel_tool_calls: Option<bool>,
    #[serde(flatten)]
    sampling: SamplingBody,
}

/// An answer in a chat. See <https://platform.openai.com/docs/api-reference/chat/object>.
#[derive(Serialize, ToSchema)]
pub(super) struct ChatCompletion {
    /// Its id.
    id: String,
    /// Always `chat.completion`.
    object: String,
    /// When it was made, in seconds of Unix time.
    created: u64,
    /// The model, or the bot.
    model: String,
    /// One object with `message`, `finish_reason` and `logprobs`.
    #[schema(value_type = Vec<Object>)]
    choices: Vec<Value>,
    /// What it cost.
    #[schema(value_type = Object)]
    usage: Value,
    /// Ours: the passages that a bot's answer is given from, best first.
    sources: Option<Vec<Passage>>,
    /// Ours: what a bot searched for beside the question.
    #[schema(value_type = Option<Object>)]
    retrieval: Option<Value>,
    /// Ours: what a bot saw of the chat.
    #[schema(value_type = Option<Object>)]
    history: Option<Value>,
}

/// Texts that are to be gone on with. See
/// <https://platform.openai.com/docs/api-reference/completions/create>.
#[derive(Serialize, ToSchema)]
pub(super) struct TextCompletionRequest {
    /// A model; no bot.
    model: String,
    /// A text, several texts, or the same as tokens.
    #[schema(example = "Once upon a time")]
    prompt: Value,
    /// Whether the answer comes as events.
    stream: Option<bool>,
    /// `include_usage`: whether the last event tells the cost.
    #[schema(value_type = Option<Object>)]
    stream_options: Option<Value>,
    /// Most tokens of each answer.
    max_tokens: Option<usize>,
    /// A text or several at which an answer ends.
    stop: Option<Value>,
    /// How many tokens are told that were nearly chosen, with their log probabilities.
    logprobs: Option<usize>,
    #[serde(flatten)]
    sampling: SamplingBody,
}

/// How texts go on. See <https://platform.openai.com/docs/api-reference/completions/object>.
#[derive(Serialize, ToSchema)]
pub(super) struct TextCompletion {
    /// Its id.
    id: String,
    /// Always `text_completion`.
    object: String,
    /// When it was made, in seconds of Unix time.
    created: u64,
    /// The model.
    model: String,
    /// An object for each text, with `index`, `text`, `finish_reason` and `logprobs`.
    #[schema(value_type = Vec<Object>)]
    choices: Vec<Value>,
    /// What it cost.
    #[schema(value_type = Object)]
    usage: Value,
}

/// A conversation that is to be gone on with, and of which nothing is stored. See
/// <https://platform.openai.com/docs/api-reference/responses/create>.
#[derive(Serialize, ToSchema)]
pub(super) struct ResponseBody {
    /// A model, or a bot.
    model: String,
    /// A question, or all that was said so far.
    #[schema(example = "Who keeps the lighthouse?")]
    input: Value,
    /// What the model is told beforehand.
    instructions: Option<String>,
    /// Whether the response comes as events.
    stream: Option<bool>,
    /// Most tokens of the answer.
    max_output_tokens: Option<usize>,
    /// `format`: text, a JSON object, or JSON of a schema.
    #[schema(value_type = Option<Object>)]
    text: Option<Value>,
    /// Told again in the response.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    #[serde(flatten)]
    sampling: SamplingBody,
}

/// A response. See <https://platform.openai.com/docs/api-reference/responses/object>.
#[derive(Serialize, ToSchema)]
pub(super) struct ResponseObject {
    /// Its id.
    id: String,
    /// Always `response`.
    object: String,
    /// When it was made, in seconds of Unix time.
    created_at: u64,
    /// The model, or the bot.
    model: String,
    /// `completed`, or `incomplete` if the answer was cut off.
    status: String,
    /// One message.
    #[schema(value_type = Vec<Object>)]
    output: Vec<Value>,
    /// What it cost.
    #[schema(value_type = Object)]
    usage: Value,
    /// Ours: the passages that a bot's answer is given from, best first.
    sources: Option<Vec<Passage>>,
}
