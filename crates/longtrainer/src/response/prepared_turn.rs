//! An answer on its way: the model's text is passed on as it comes, and the turn is stored when the
//! text ends, however it ends.

use async_channel::Sender;
use futures_lite::{StreamExt, future};
use longtrainer_inference::{Generation, StreamItem, TextStream};
use longtrainer_store::{SourceRecord, TurnStatus};
use serde_json::Value;

use super::structured::Structure;
use super::{Answer, Chunk, TurnDraft};
use crate::conversation::HistoryUse;
use crate::error::{Error, Result};
use crate::model_pool::TextModelLease;
use crate::retrieval::{Retrieval, RetrievedDocument};
use crate::trainer::Inner;
use crate::vision::MissingPicture;

/// A question whose prompt is with the model.
pub(crate) struct Queued {
    pub(crate) found: Retrieval,
    pub(crate) history: HistoryUse,
    pub(super) missing_pictures: Vec<MissingPicture>,
    pub(super) structure: Option<Structure>,
    pub(crate) stream: TextStream,
    /// Keeps the model loaded until the stream has ended.
    pub(crate) _model: TextModelLease,
}

/// A turn whose prompt is with the model and whose answer is on its way.
pub(super) struct PreparedTurn {
    pub(super) draft: TurnDraft,
    pub(super) queued: Queued,
}

/// How the model's stream ended.
enum End {
    Done(Generation),
    ReaderLeft,
    Failed(Error),
}

impl PreparedTurn {
    /// Passes the answer on and stores the turn.
    pub(super) fn serve(mut self, inner: &Inner, reader: &Sender<Result<Chunk>>) {
        let mut text = String::new();
        let end =
            match reader.send_blocking(Ok(Chunk::Sources(self.queued.found.documents.clone()))) {
                Ok(()) => future::block_on(self.pass_on(&mut text, reader)),
                Err(_) => End::ReaderLeft,
            };
        let last = match end {
            End::Done(generation) => match self.data(&text, &generation) {
                Ok(data) => self
                    .complete(inner, text, data, generation)
                    .map(Chunk::Done),
                Err(error) => Err(self.fail(inner, &text, error)),
            },
            End::ReaderLeft => match self.store(inner, &text, TurnStatus::Cancelled) {
                Ok(_) => return,
                Err(error) => Err(error),
            },
            End::Failed(error) => Err(self.fail(inner, &text, error)),
        };
        if let Err(error) = &last {
            let (kind, error) = (error.kind(), error.for_log());
            tracing::warn!(
                chat_id = self.draft.chat_id(),
                ?kind,
                error,
                "turn not completed"
            );
        }
        // A reader that has left misses only what it no longer wants; the turn is stored.
        let _ = reader.send_blocking(last);
    }

    /// Collects the text while sending it on, until it ends or nobody reads any more. Watching the
    /// reader and not only the sends is what stops a prompt that is still being read.
    async fn pass_on(&mut self, text: &mut String, reader: &Sender<Result<Chunk>>) -> End {
        loop {
            let reader_left = async {
                reader.closed().await;
                None
            };
            let next = async { Some(StreamExt::next(&mut self.queued.stream).await) };
            match future::or(reader_left, next).await {
                None => return End::ReaderLeft,
                // Only requests for log probabilities get these.
                Some(Some(Ok(StreamItem::Token(_)))) => (),
                Some(Some(Ok(StreamItem::Text(piece)))) => {
                    text.push_str(&piece);
                    if reader.send(Ok(Chunk::Text(piece))).await.is_err() {
                        return End::ReaderLeft;
                    }
                }
                Some(Some(Ok(StreamItem::Done(generation)))) => return End::Done(generation),
                Some(Some(Err(error))) => return End::Failed(error.into()),
                Some(None) => {
                    return End::Failed(Error::AnswerBrokeOff {
                        chat_id: self.draft.chat_id().to_owned(),
                    });
                }
            }
        }
    }

    /// What the text says as data, where data were asked for.
    fn data(&self, text: &str, generation: &Generation) -> Result<Option<Value>> {
        match &self.queued.structure {
            Some(structure) => structure.data(text, generation).map(Some),
            None => Ok(None),
        }
    }

    fn complete(
        &self,
        inner: &Inner,
        text: String,
        data: Option<Value>,
        generation: Generation,
    ) -> Result<Box<Answer>> {
        let turn = self.store(inner, &text, TurnStatus::Complete)?;
        let queued = &self.queued;
        Ok(Box::new(Answer {
            text,
            data,
            sources: queued.found.documents.clone(),
            retrieval: queued.found.retrieval.clone(),
            web_sources: Vec::new(),
            finish_reason: generation.finish_reason,
            usage: generation.usage,
            history: queued.history,
            missing_pictures: queued.missing_pictures.clone(),
            turn,
        }))
    }

    fn fail(&self, inner: &Inner, text: &str, error: Error) -> Error {
        self.draft.fail(&*inner.store, text, &self.sources(), error)
    }

    fn store(&self, inner: &Inner, text: &str, status: TurnStatus) -> Result<u64> {
        self.draft
            .store(&*inner.store, text, &self.sources(), status, None)
    }

    fn sources(&self) -> Vec<SourceRecord> {
        let found = self.queued.found.documents.iter();
        found.map(RetrievedDocument::to_source).collect()
    }
}
