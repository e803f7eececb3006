//! A history on its way out as a file. Each piece is read when the client has taken the one before, so
//! a slow client holds neither a thread nor the whole history.

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_lite::stream::{StreamExt, iter, unfold};
use longtrainer::{ChatExport, ExportFormat, LongTrainer};

use crate::api_error::ApiError;
use crate::state::AppState;

/// Answers with a file called `name` and the ending of its format. What goes wrong before the first
/// piece is answered as an error; what does later breaks the connection off.
pub(crate) async fn file<F>(
    state: AppState,
    name: &str,
    format: ExportFormat,
    begin: F,
) -> Result<Response, ApiError>
where
    F: FnOnce(&LongTrainer) -> longtrainer::Result<ChatExport> + Send + 'static,
{
    let export = state.call(begin).await?;
    let (first, export) = next(&state, export).await?;
    let rest = unfold((state, export), async |(state, export)| {
        let (piece, export) = match next(&state, export?).await {
            Ok((piece, export)) => (Ok(piece?), export),
            Err(error) => (Err(error), None),
        };
        Some((piece, (state, export)))
    });
    let (media_type, ending) = match format {
        ExportFormat::Jsonl => ("application/jsonl", "jsonl"),
        ExportFormat::Markdown => ("text/markdown; charset=utf-8", "md"),
    };
    let disposition = format!("attachment; filename=\"{name}.{ending}\"");
    let headers = [
        (CONTENT_TYPE, media_type.to_owned()),
        (CONTENT_DISPOSITION, disposition),
    ];
    let pieces = iter(first.map(Ok)).chain(rest);
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// The next piece, and what is left after it.
async fn next(
    state: &AppState,
    mut export: ChatExport,
) -> Result<(Option<Bytes>, Option<ChatExport>), ApiError> {
    state
        .call(move |_| {
            let piece = export.next_piece()?;
            Ok::<_, longtrainer::Error>(match piece {
                Some(piece) => (Some(Bytes::from(piece)), Some(export)),
                None => (None, None),
            })
        })
        .await
}
