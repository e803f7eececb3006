//! Files that come as `multipart/form-data`: streamed to the disk, within limits, and gone again if
//! anything of them is missing.
//!
//! What the parser holds in memory is bounded, too. It takes all that is there when it is asked, so it
//! is given one piece at a time; and it keeps what it has not yet handed out, a header without an end
//! for one, so more than [`HELD`] of that ends the upload.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use futures_core::Stream;
use futures_lite::StreamExt;
use longtrainer::Upload;
use multer::{Field, Multipart};
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;

use crate::api_error::ApiError;
use crate::content_log;
use crate::slow_body::was_too_slow;
use crate::state::AppState;

/// Most files of one upload.
const MAX_FILES: usize = 100;
/// Most bytes that the parser may keep.
const HELD: u64 = 1 << 20;
/// Most bytes of a field that is no file.
const MAX_FIELD: usize = 64;
/// How much is read and dropped of an upload that is refused, so that its sender hears of it, and for
/// how long.
const DRAINED: u64 = 64 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Files that have come whole, and what was said about them.
pub(crate) struct Received {
    pub(crate) upload: Upload,
    /// The field `build`: whether the bot is built afterwards.
    pub(crate) build: bool,
}

/// Whether a body holds files.
pub(crate) fn is_multipart(headers: &HeaderMap) -> bool {
    content_type(headers)
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .eq_ignore_ascii_case("multipart/form-data")
}

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Takes the files of a body in. `most` is the number of files that are taken.
pub(crate) async fn receive(
    state: &AppState,
    headers: &HeaderMap,
    body: Body,
    most: usize,
) -> Result<Received, ApiError> {
    let mut pieces = body.into_data_stream();
    let received = match Receiver::new(state, headers, &mut pieces).await {
        Ok(receiver) => receiver.receive(state, most).await,
        Err(error) => Err(error),
    };
    if received.is_err() {
        // Whether the rest comes in time changes nothing about the answer.
        let _ = tokio::time::timeout(DRAIN_TIME, drain(pieces)).await;
    }
    received
}

/// Refuses an upload for a reason that is known before it is read.
pub(crate) async fn refuse(body: Body, reason: ApiError) -> ApiError {
    let _ = tokio::time::timeout(DRAIN_TIME, drain(body.into_data_stream())).await;
    reason
}

async fn drain(mut pieces: BodyDataStream) {
    let mut dropped = 0;
    while let Some(Ok(piece)) = pieces.next().await {
        dropped += piece.len() as u64;
        if dropped > DRAINED {
            return;
        }
    }
}

/// An upload that is being read.
struct Receiver<'a> {
    multipart: Multipart<'a>,
    files: Unfinished,
    /// Bytes that the parser has handed out.
    handed_out: Arc<AtomicU64>,
    limit: u64,
}

impl<'a> Receiver<'a> {
    async fn new(
        state: &AppState,
        headers: &HeaderMap,
        pieces: &'a mut BodyDataStream,
    ) -> Result<Self, ApiError> {
        let boundary = multer::parse_boundary(content_type(headers))
            .map_err(|error| refused_with(StatusCode::UNSUPPORTED_MEDIA_TYPE, &error))?;
        let handed_out = Arc::new(AtomicU64::new(0));
        let limit = state.options.upload_limit as u64;
        let paced = Paced {
            pieces,
            taken: 0,
            handed_out: Arc::clone(&handed_out),
            limit,
            rests: false,
        };
        let upload = state.call(|trainer| trainer.begin_upload()).await?;
        Ok(Self {
            multipart: Multipart::new(paced, boundary),
            files: Unfinished(Some(upload)),
            handed_out,
            limit,
        })
    }

    async fn receive(mut self, state: &AppState, most: usize) -> Result<Received, ApiError> {
        let mut build = false;
        while let Some(field) = self.next_field().await? {
            match (field.file_name(), field.name().unwrap_or_default()) {
                (Some(name), _) => {
                    content_log::file(&state.options, Path::new(name));
                    let file = self.files.new_file(state, name.to_owned(), most).await?;
                    self.take_file(file, field).await?;
                }
                (None, "build") => build = self.take_flag(field).await?,
                (None, other) => {
                    return Err(ApiError::unprocessable(format!(
                        "the field {other:?} is neither a file nor `build`"
                    )));
                }
            }
        }
        let upload = self.files.whole()?;
        Ok(Received { upload, build })
    }

    async fn next_field(&mut self) -> Result<Option<Field<'a>>, ApiError> {
        let field = self.multipart.next_field().await;
        field.map_err(|error| self.told(&error))
    }

    async fn take_file(&self, file: std::fs::File, mut field: Field<'a>) -> Result<(), ApiError> {
        let limit = longtrainer::max_file_bytes();
        let mut file = tokio::fs::File::from_std(file);
        let mut length = 0;
        while let Some(piece) = self.next_piece(&mut field).await? {
            length += piece.len() as u64;
            if length > limit {
                return Err(too_large(format!("a file has more than {limit} bytes")));
            }
            file.write_all(&piece).await.map_err(unwritten)?;
        }
        file.flush().await.map_err(unwritten)?;
        file.sync_all().await.map_err(unwritten)
    }

    async fn take_flag(&self, mut field: Field<'a>) -> Result<bool, ApiError> {
        let mut text = Vec::new();
        while let Some(piece) = self.next_piece(&mut field).await? {
            text.extend_from_slice(&piece);
            if text.len() > MAX_FIELD {
                break;
            }
        }
        match text.as_slice() {
            b"true" => Ok(true),
            b"false" => Ok(false),
            _ => Err(ApiError::unprocessable("build: neither true nor false")),
        }
    }

    async fn next_piece(&self, field: &mut Field<'a>) -> Result<Option<Bytes>, ApiError> {
        let piece = field.chunk().await;
        let piece = piece.map_err(|error| self.told(&error))?;
        let length = piece.as_ref().map_or(0, Bytes::len);
        self.handed_out.fetch_add(length as u64, Ordering::Relaxed);
        Ok(piece)
    }

    /// What the sender is told; of a limit, that it is one.
    fn told(&self, error: &multer::Error) -> ApiError {
        let multer::Error::StreamReadFailed(cause) = error else {
            return refused_with(StatusCode::BAD_REQUEST, error);
        };
        match cause.downcast_ref::<Limit>() {
            Some(Limit::Whole) => {
                too_large(format!("the upload has more than {} bytes", self.limit))
            }
            Some(Limit::Held) => {
                ApiError::bad_request("a part of the upload has a header without an end")
            }
            None if was_too_slow(&**cause) => {
                ApiError::new(StatusCode::REQUEST_TIMEOUT, "the upload came too slowly")
            }
            None => ApiError::bad_request(format!("the upload broke off: {cause}")),
        }
    }
}

/// The files that have come so far. They are removed on a thread that may block, unless they are
/// all there in the end.
struct Unfinished(Option<Upload>);

impl Unfinished {
    async fn new_file(
        &mut self,
        state: &AppState,
        name: String,
        most: usize,
    ) -> Result<std::fs::File, ApiError> {
        let Some(mut upload) = self.0.take() else {
            return Err(ApiError::broke_off());
        };
        let (file, upload) = state
            .call(move |_| {
                let file = match upload.len() < most.min(MAX_FILES) {
                    true => upload.create_file(&name).map_err(ApiError::from),
                    false => Err(ApiError::unprocessable(format!(
                        "more files than are taken at once: {}",
                        most.min(MAX_FILES)
                    ))),
                };
                Ok::<_, ApiError>((file, upload))
            })
            .await?;
        self.0 = Some(upload);
        file
    }

    fn whole(mut self) -> Result<Upload, ApiError> {
        match self.0.take() {
            Some(upload) if !upload.is_empty() => Ok(upload),
            empty => {
                self.0 = empty;
                Err(ApiError::unprocessable(
                    "there is no file in the upload: a file has a filename",
                ))
            }
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(upload) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn_blocking(move || drop(upload));
        }
    }
}

/// Which limit an upload has reached.
#[derive(Debug, thiserror::Error)]
enum Limit {
    #[error("too many bytes")]
    Whole,
    #[error("too much that belongs to no file")]
    Held,
}

/// A body for the parser, one piece at a time.
struct Paced<'a> {
    pieces: &'a mut BodyDataStream,
    taken: u64,
    handed_out: Arc<AtomicU64>,
    limit: u64,
    /// Whether the parser is to look at what it has before it gets more.
    rests: bool,
}

impl Stream for Paced<'_> {
    type Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rests) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = match Pin::new(&mut *self.pieces).poll_next(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(Some(Ok(piece))) => piece,
        };
        self.rests = true;
        self.taken += piece.len() as u64;
        let held = self.taken - self.handed_out.load(Ordering::Relaxed).min(self.taken);
        if self.taken > self.limit {
            return Poll::Ready(Some(Err(Limit::Whole.into())));
        }
        if held > HELD {
            return Poll::Ready(Some(Err(Limit::Held.into())));
        }
        Poll::Ready(Some(Ok(piece)))
    }
}

fn refused_with(status: StatusCode, error: &multer::Error) -> ApiError {
    ApiError::new(status, format!("the upload is refused: {error}"))
}

fn too_large(detail: String) -> ApiError {
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

fn unwritten(error: std::io::Error) -> ApiError {
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("the upload could not be written down: {error}"),
    )
}
