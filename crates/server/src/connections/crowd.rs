//! More connections than the server takes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What a client is told when there is no place for it.
const FULL: &str = "{\"detail\":\"the server has as many connections as it takes: try again\"}";
/// How many clients are told at once; more are dropped without a word.
const TOLD_AT_ONCE: usize = 64;
/// How long a client may take to hear it.
const TELLING: Duration = Duration::from_secs(1);

static BEING_TOLD: AtomicUsize = AtomicUsize::new(0);

/// Answers a connection with 503, whatever it asks, and ends it. With TLS there is no telling without
/// a handshake, which costs more than it is worth here.
pub(super) fn turn_away(stream: TcpStream, encrypted: bool) {
    tracing::debug!("a connection too many was turned away");
    if encrypted || BEING_TOLD.fetch_add(1, Ordering::Relaxed) >= TOLD_AT_ONCE {
        if !encrypted {
            BEING_TOLD.fetch_sub(1, Ordering::Relaxed);
        }
        return;
    }
    tokio::spawn(async move {
        // Whether it is heard is up to the client.
        let _ = timeout(TELLING, tell(stream)).await;
        BEING_TOLD.fetch_sub(1, Ordering::Relaxed);
    });
}

async fn tell(mut stream: TcpStream) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         retry-after: 1\r\nconnection: close\r\n\r\n",
        FULL.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(FULL.as_bytes()).await?;
    stream.shutdown().await?;
    // What the client sends meanwhile is read: closing with it unread would take the answer back.
    let mut unread = [0; 1024];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

/// Files that the process needs besides connections: models, the store, indexes.
#[cfg(unix)]
const OTHER_FILES: u64 = 256;

/// Raises the number of files that the process may have open, each connection being one, as far as the
/// system allows.
#[cfg(unix)]
pub(crate) fn allow_open_files(max_connections: usize) {
    let wanted = (max_connections as u64).saturating_add(OTHER_FILES);
    match rlimit::increase_nofile_limit(wanted) {
        Ok(allowed) if allowed < wanted => tracing::warn!(
            allowed,
            wanted,
            "the system allows fewer open files than max_connections needs (ulimit -n)"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
}

/// Other systems count connections apart from files.
#[cfg(not(unix))]
pub(crate) fn allow_open_files(_: usize) {}
