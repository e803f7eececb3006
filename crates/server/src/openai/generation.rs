//! One answer on its way from a model to a client.
//!
//! A client that leaves needs no code here: the runtime drops the response, or the handler that waits for
//! it, and with it the stream, which stops the model whether it waits, reads or writes.

use std::sync::Arc;

use futures_lite::StreamExt;
use longtrainer::{DirectAnswer, Grounds, LongTrainer, StreamItem};
use tokio_util::sync::CancellationToken;

use super::error::OpenAiError;
use crate::api_error::ApiError;
use crate::content_log;
use crate::options::ServerOptions;
use crate::state::AppState;

/// The items of an answer. They end after [`StreamItem::Done`] or the first error.
pub(super) struct Generation {
    /// `None` once it has ended.
    answer: Option<DirectAnswer>,
    /// What was said so far, if it is logged.
    said: String,
    options: Arc<ServerOptions>,
    stop: CancellationToken,
}

impl Generation {
    /// Asks. What can be refused is an error here.
    pub(super) async fn begin<F>(state: &AppState, ask: F) -> Result<Self, OpenAiError>
    where
        F: FnOnce(&LongTrainer) -> Result<DirectAnswer, OpenAiError> + Send + 'static,
    {
        let mut all = Self::begin_all(state, move |trainer| Ok(vec![ask(trainer)?])).await?;
        all.pop().ok_or_else(|| ApiError::broke_off().into())
    }

    /// Asks for several answers at once.
    pub(super) async fn begin_all<F>(state: &AppState, ask: F) -> Result<Vec<Self>, OpenAiError>
    where
        F: FnOnce(&LongTrainer) -> Result<Vec<DirectAnswer>, OpenAiError> + Send + 'static,
    {
        let answers = state
            .call(move |trainer| Ok::<_, ApiError>(ask(trainer)))
            .await??;
        let generations = answers.into_iter().map(|answer| Self {
            answer: Some(answer),
            said: String::new(),
            options: Arc::clone(&state.options),
            stop: state.stop_answers.clone(),
        });
        Ok(generations.collect())
    }

    /// What a bot's answer is grounded on.
    pub(super) fn grounds(&self) -> Option<Grounds> {
        self.answer.as_ref()?.grounds().cloned()
    }

    /// The next item; `None` after the end.
    pub(super) async fn next(&mut self) -> Option<Result<StreamItem, OpenAiError>> {
        let answer = self.answer.as_mut()?;
        let next = match self.stop.run_until_cancelled(StreamExt::next(answer)).await {
            None => Err(ApiError::stopping().into()),
            Some(None) => Err(ApiError::broke_off().into()),
            Some(Some(item)) => item.map_err(OpenAiError::from),
        };
        match &next {
            Ok(StreamItem::Text(text)) if self.options.log_content => self.said.push_str(text),
            Ok(StreamItem::Done(_)) => content_log::answer(&self.options, &self.said),
            _ => {}
        }
        if matches!(next, Ok(StreamItem::Done(_)) | Err(_)) {
            self.answer = None;
        }
        Some(next)
    }
}
