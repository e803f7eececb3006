//! Connections: accepted, encrypted, served, and ended.
//!
//! `axum::serve` has no place for TLS, for a limit on connections, or for clients that are too slow,
//! so this goes one layer below it, to hyper. HTTP/1.1 only: what clients of such a server need, and
//! less to attack.
//!
//! Who is slow is cut off in three places. The head of a request must come within the header timeout,
//! which also ends connections that nobody uses; its body has limits of its own
//! ([`slow_body`](crate::slow_body)); and a client that takes nothing from its connection for the
//! write timeout is gone, and the answer that it was being given is cancelled with it.

mod crowd;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::options::ServerOptions;

pub(crate) use crowd::allow_open_files;
use crowd::turn_away;

/// What hyper may hold of one connection at most; the head of a request must fit.
const BUFFER: usize = 64 << 10;
/// How long to wait when no connection can be accepted, for want of file handles for one.
const PAUSE: Duration = Duration::from_millis(200);

/// What every connection is served with.
#[derive(Clone)]
pub(crate) struct Connections {
    pub(crate) router: Router,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) options: Arc<ServerOptions>,
    /// Cancelled when no further request is taken.
    pub(crate) no_more: CancellationToken,
}

impl Connections {
    /// Serves until `no_more`, and then until the last connection has had its answer. Dropping this
    /// drops all connections.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(self.options.max_connections));
        let mut open = JoinSet::new();
        while let Some(accepted) = self.no_more.run_until_cancelled(listener.accept()).await {
            while open.try_join_next().is_some() {}
            match accepted {
                Err(error) => pause_after(&error).await,
                Ok((stream, peer)) => match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => {
                        let this = self.clone();
                        open.spawn(async move {
                            this.serve_one(stream, peer).await;
                            drop(place);
                        });
                    }
                    Err(_) => turn_away(stream, self.tls.is_some()),
                },
            }
        }
        drop(listener);
        while open.join_next().await.is_some() {}
    }

    async fn serve_one(self, stream: TcpStream, peer: SocketAddr) {
        // A token is smaller than a packet, and waiting to fill one would hold it back.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "small packets are held back");
        }
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.options.write_timeout));
        let stream = Box::pin(stream);
        let ended = match &self.tls {
            None => self.answer(stream).await,
            Some(tls) => match timeout(self.options.header_timeout, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.answer(stream).await,
                Ok(Err(error)) => Err(error.into()),
                Err(_) => Err("the TLS handshake took too long".into()),
            },
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection ended with an error");
        }
    }

    /// Answers the requests of one connection.
    async fn answer<S>(&self, stream: S) -> Result<(), axum::BoxError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = TowerToHyperService::new(self.router.clone());
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.options.header_timeout)
                .max_buf_size(BUFFER)
                .serve_connection(TokioIo::new(stream), service)
        );
        tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            () = self.no_more.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        Ok(connection.await?)
    }
}

/// A client that left before it was accepted is its own affair; anything else may come again at once.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        return;
    }
    tracing::warn!(%error, "no connection can be accepted just now");
    tokio::time::sleep(PAUSE).await;
}
