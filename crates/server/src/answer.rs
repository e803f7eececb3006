//! One answer on its way from the facade to a client.
//!
//! A client that leaves needs little code here: the runtime drops the response with its stream, and
//! that stops the model and stores what had been said as a cancelled turn. When the server stops,
//! the same is brought about by ending the stream early. Either way the server waits for the turn
//! to be stored before it ends.

use std::sync::Arc;

use futures_lite::StreamExt;
use longtrainer::{Answer, Chunk, LongTrainer, ResponseStream};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api_error::ApiError;
use crate::content_log;
use crate::options::ServerOptions;
use crate::state::AppState;

/// An answer's pieces. It ends after [`Chunk::Done`] or the first error.
pub(crate) struct AnswerStream {
    /// `None` once it has ended.
    chunks: Option<ResponseStream>,
    options: Arc<ServerOptions>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl AnswerStream {
    /// Asks. A question that cannot be asked is an error here.
    pub(crate) async fn begin<E, F>(state: &AppState, ask: F) -> Result<Self, ApiError>
    where
        F: FnOnce(&LongTrainer) -> Result<ResponseStream, E> + Send + 'static,
        E: Into<ApiError> + Send + 'static,
    {
        let chunks = state.call(ask).await?;
        Ok(Self {
            chunks: Some(chunks),
            options: Arc::clone(&state.options),
            stop: state.stop_answers.clone(),
            tasks: state.tasks.clone(),
        })
    }

    /// The next piece; `None` after the end.
    pub(crate) async fn next(&mut self) -> Option<Result<Chunk, ApiError>> {
        let chunks = self.chunks.as_mut()?;
        let next = match self.stop.run_until_cancelled(StreamExt::next(chunks)).await {
            None => {
                self.cancel();
                Err(ApiError::stopping())
            }
            Some(None) => Err(ApiError::broke_off()),
            Some(Some(chunk)) => chunk.map_err(ApiError::from),
        };
        if let Ok(Chunk::Done(answer)) = &next {
            content_log::answer(&self.options, &answer.text);
        }
        if matches!(next, Ok(Chunk::Done(_)) | Err(_)) {
            self.chunks = None;
        }
        Some(next)
    }

    /// Waits for the end.
    pub(crate) async fn whole(mut self) -> Result<Answer, ApiError> {
        while let Some(chunk) = self.next().await {
            if let Chunk::Done(answer) = chunk? {
                return Ok(*answer);
            }
        }
        Err(ApiError::broke_off())
    }

    /// Stops the model, and has the server wait until the turn is stored. Without a runtime there
    /// is no server to wait, and dropping the stream does the rest.
    fn cancel(&mut self) {
        if let Some(chunks) = self.chunks.take()
            && let Ok(runtime) = Handle::try_current()
        {
            self.tasks
                .spawn_blocking_on(move || chunks.cancel(), &runtime);
        }
    }
}

impl Drop for AnswerStream {
    fn drop(&mut self) {
        self.cancel();
    }
}
