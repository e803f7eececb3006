//! One answer on its way from the facade to a client.
//!
//! The facade's stream stops the model when it is dropped and stores what had been said as a
//! cancelled turn. So the client that leaves needs no code here: the runtime drops the response
//! with its stream. When the server stops, the same is brought about by ending the stream early.

use futures_lite::StreamExt;
use longtrainer::{Answer, BotId, ChatId, Chunk, ResponseStream};
use tokio_util::sync::CancellationToken;

use crate::api_error::ApiError;
use crate::state::AppState;
use crate::types::Question;

/// An answer's pieces. It ends after [`Chunk::Done`] or the first error.
pub(crate) struct AnswerStream {
    chunks: ResponseStream,
    stop: CancellationToken,
    ended: bool,
}

impl AnswerStream {
    /// Asks. A question that cannot be asked is an error here.
    pub(crate) async fn begin(
        state: &AppState,
        bot_id: BotId,
        chat_id: ChatId,
        question: Question,
    ) -> Result<Self, ApiError> {
        let (query, options) = question.into_parts();
        let chunks = state
            .call(move |trainer| trainer.stream_response(&query, &bot_id, &chat_id, options))
            .await?;
        Ok(Self { chunks, stop: state.stop_answers.clone(), ended: false })
    }

    /// The next piece; `None` after the end.
    pub(crate) async fn next(&mut self) -> Option<Result<Chunk, ApiError>> {
        if self.ended {
            return None;
        }
        let next = match self.stop.run_until_cancelled(StreamExt::next(&mut self.chunks)).await {
            None => Err(ApiError::stopping()),
            Some(None) => Err(ApiError::broke_off()),
            Some(Some(chunk)) => chunk.map_err(ApiError::from),
        };
        self.ended = matches!(next, Ok(Chunk::Done(_)) | Err(_));
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
}
