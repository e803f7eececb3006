//! `POST /v1/completions`: texts that a model goes on with as they stand.

use axum::response::Response;
use longtrainer::{DirectAnswer, LongTrainer, ModelRequest, Prompt, RawText};
use serde::Deserialize;

use super::asking::bot_named;
use super::body::{Fields, OpenAiBody};
use super::completion_reply::{Texts, stream, whole};
use super::description::{NoModel, Refused, TextCompletion, TextCompletionRequest, UnknownModel};
use super::error::OpenAiError;
use super::generation::Generation;
use super::one_or_many::TextsOrTokens;
use super::sampling::SamplingFields;
use super::stamp::Stamp;
use super::stop::{Stop, stops};
use super::stream_options::{StreamOptions, with_usage};
use crate::content_log;
use crate::scoped::Scoped;

/// Most prompts of a request: each is a request of its own to the model.
const MOST: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CompletionRequest {
    model: String,
    prompt: TextsOrTokens,
    max_tokens: Option<usize>,
    stop: Option<Stop>,
    #[serde(default)]
    stream: bool,
    stream_options: Option<StreamOptions>,
    logprobs: Option<usize>,
}

impl Fields for CompletionRequest {
    const HARMLESS: &'static [&'static str] = &["user", "n", "best_of", "echo", "suffix"];
}

/// Goes on with texts as they stand
#[utoipa::path(
    post,
    path = "/v1/completions",
    operation_id = "create_completion",
    tag = "openai",
    request_body = TextCompletionRequest,
    responses(
        (
            status = 200,
            description = "The answer; with `stream`, events in which it comes in pieces",
            content((TextCompletion = "application/json"), (String = "text/event-stream")),
        ),
        Refused,
        UnknownModel,
        NoModel,
    ),
)]
pub(super) async fn create(
    Scoped(state): Scoped,
    body: OpenAiBody<CompletionRequest>,
) -> Result<Response, OpenAiError> {
    let OpenAiBody { fields, sampling } = body;
    if bot_named(&fields.model).is_some() {
        let message = "model: a bot answers questions; ask it with /v1/chat/completions";
        return Err(OpenAiError::field("model", message));
    }
    let with_usage = with_usage(fields.stream_options.as_ref(), fields.stream)?;
    let prompts = prompts(fields.prompt)?;
    for prompt in &prompts {
        if let RawText::Text(text) = prompt {
            content_log::question(&state.options, text, &[]);
        }
    }
    let asked = Asked {
        model: fields.model,
        max_tokens: fields.max_tokens,
        sampling,
        stop: stops(fields.stop)?,
        logprobs: fields.logprobs,
    };
    let stamp = Stamp::now("cmpl-", &asked.model);
    let with_logprobs = asked.logprobs.is_some();
    let generations = Generation::begin_all(&state, move |trainer| {
        let prompts = prompts.into_iter();
        prompts.map(|prompt| asked.begin(trainer, prompt)).collect()
    })
    .await?;
    let texts = Texts::new(stamp, with_logprobs, generations);
    match fields.stream {
        true => Ok(stream(texts, with_usage)),
        false => whole(texts).await,
    }
}

/// What all prompts of a request share.
struct Asked {
    model: String,
    max_tokens: Option<usize>,
    sampling: SamplingFields,
    stop: Vec<String>,
    logprobs: Option<usize>,
}

impl Asked {
    fn begin(&self, trainer: &LongTrainer, prompt: RawText) -> Result<DirectAnswer, OpenAiError> {
        let request = ModelRequest {
            max_tokens: self.max_tokens,
            sampling: Some(self.sampling.over(&trainer.defaults().sampling)?),
            stop: self.stop.clone(),
            top_logprobs: self.logprobs,
            ..ModelRequest::new(Prompt::Text(prompt))
        };
        let asked = trainer.ask_model(&self.model, request);
        asked.map_err(|error| {
            let is_too_long = matches!(
                error,
                longtrainer::Error::Inference(longtrainer::InferenceError::PromptTooLong { .. })
            );
            let error = OpenAiError::from(error);
            match is_too_long {
                true => error.about("prompt"),
                false => error,
            }
        })
    }
}

fn prompts(prompt: TextsOrTokens) -> Result<Vec<RawText>, OpenAiError> {
    let prompts: Vec<RawText> = match prompt {
        TextsOrTokens::Text(text) => vec![RawText::Text(text)],
        TextsOrTokens::Texts(texts) => texts.into_iter().map(RawText::Text).collect(),
        TextsOrTokens::Tokens(tokens) => vec![RawText::Tokens(tokens)],
        TextsOrTokens::ManyTokens(texts) => texts.into_iter().map(RawText::Tokens).collect(),
    };
    let problem = match prompts.len() {
        0 => "there must be at least one".to_owned(),
        number if number > MOST => format!("{number} of them, but at most {MOST} are taken"),
        _ => return Ok(prompts),
    };
    Err(OpenAiError::field("prompt", format!("prompt: {problem}")))
}
