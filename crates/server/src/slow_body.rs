//! Gives up on a request's body that comes too slowly.
//!
//! Two things are asked of a body: that something of it comes within the time limit, again and again,
//! and that it is done in that time and another second for each 4 KiB. The first ends a client that
//! has gone to sleep, the second one that sends a byte now and then.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_lite::StreamExt;
use futures_lite::stream::unfold;
use tokio::time::{Instant, timeout_at};

use crate::state::AppState;

/// The slowest that a body may come, in the long run.
const BYTES_PER_SECOND: u64 = 4096;

/// The body came too slowly.
#[derive(Debug, thiserror::Error)]
#[error("the request's body came too slowly")]
pub(crate) struct TooSlow;

/// Sets the limits on the bodies of all requests.
pub(crate) async fn slow_body(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let time = state.options.body_timeout;
    next.run(request.map(|body| paced(body, time))).await
}

fn paced(body: Body, time: Duration) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let begun = Instant::now();
    let chunks = unfold(
        (body.into_data_stream(), 0_u64),
        move |(mut body, read)| async move {
            let done_by = begun + time + Duration::from_secs(read / BYTES_PER_SECOND);
            let deadline = done_by.min(Instant::now() + time);
            let chunk = match timeout_at(deadline, body.next()).await {
                Ok(chunk) => chunk?.map_err(axum::BoxError::from),
                Err(_) => Err(TooSlow.into()),
            };
            let read = read + chunk.as_ref().map_or(0, |bytes| bytes.len() as u64);
            Some((chunk, (body, read)))
        },
    );
    // A reader may ask again after the end.
    Body::from_stream(chunks.fuse())
}

/// Whether a body could not be read because it came too slowly.
pub(crate) fn was_too_slow(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<TooSlow>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::BodyExt;

    use super::*;

    /// A body of these pieces, each this long after the one before.
    fn dripping(pieces: u64, bytes: usize, every: Duration) -> Body {
        let stream = unfold(0, move |sent| async move {
            tokio::time::sleep(every).await;
            let piece = Ok::<_, std::io::Error>(Bytes::from(vec![7; bytes]));
            (sent < pieces).then_some((piece, sent + 1))
        });
        Body::from_stream(stream)
    }

    const TIME: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_body_that_keeps_coming_is_read_however_long_it_is() {
        let body = dripping(100, 4096, Duration::from_secs(1));
        let read = paced(body, TIME).collect().await.unwrap().to_bytes();
        assert_eq!(read.len(), 100 * 4096);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_or_drips_is_given_up() {
        for (pieces, every) in [(1, Duration::from_secs(60)), (60, Duration::from_secs(1))] {
            let begun = Instant::now();
            let body = dripping(pieces, 1, every);
            let error = paced(body, TIME).collect().await.unwrap_err();
            assert!(was_too_slow(&error), "{error}");
            assert_eq!(begun.elapsed().as_secs(), TIME.as_secs());
        }
    }
}
