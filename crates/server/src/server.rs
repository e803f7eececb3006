//! A server from its start to its end.
//!
//! It stops in steps: no new connections; answers that run may end by themselves for a while; those
//! that still run are cancelled, each with what had been said stored; then it returns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use longtrainer::LongTrainer;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinHandle};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::connections::{Connections, allow_open_files};
use crate::error::{Error, Result};
use crate::options::ServerOptions;
use crate::routes::with_state;
use crate::shutdown::Signals;
use crate::state::AppState;
use crate::tls::TlsFiles;

/// How long cancelled answers, and files that are being read, may take to end. A client that does
/// not read its answer would otherwise keep the server from ending.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A server that listens, but does not answer before [`Server::run`].
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    trainer: LongTrainer,
    options: ServerOptions,
}

/// Serves until SIGINT or SIGTERM.
pub async fn run(trainer: LongTrainer, options: ServerOptions) -> Result<()> {
    Server::bind(trainer, options).await?.run().await
}

impl Server {
    /// Checks the options and that those who could come in need a key, marks the jobs that an earlier run left unfinished as failed, and
    /// listens.
    pub async fn bind(trainer: LongTrainer, options: ServerOptions) -> Result<Self> {
        options.check()?;
        options.check_keys(trainer.has_keys())?;
        let tls = options.tls.as_ref().map(TlsFiles::load).transpose()?;
        if tls.is_none() && !options.is_local() {
            tracing::warn!(
                "keys and answers cross the network in the clear: name a certificate and a key for TLS"
            );
        }
        allow_open_files(options.max_connections);
        let wanted = SocketAddr::new(options.host, options.port);
        let listen = |source| Error::Listen {
            address: wanted,
            source,
        };
        let listener = TcpListener::bind(wanted).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let failed = trainer
            .fail_interrupted_jobs()
            .map_err(|source| Error::Jobs { source })?;
        if failed > 0 {
            tracing::warn!(
                failed,
                "jobs that the last run left unfinished are marked as failed"
            );
        }
        Ok(Self {
            listener,
            address,
            tls: tls.map(TlsAcceptor::from),
            trainer,
            options,
        })
    }

    /// Where it listens: `http://127.0.0.1:8000`.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// What a program prints at the start: the address, and a command to try.
    pub fn greeting(&self) -> String {
        let url = self.url();
        let local = self.options.is_local();
        let reach = if local { " (this machine only)" } else { "" };
        let keys = match self.options.require_keys || self.trainer.has_keys() {
            true => "Requests need a key: X-API-Key or Authorization: Bearer\n",
            false => "",
        };
        format!("Listening on {url}{reach}\n{keys}Try: curl {url}/health")
    }

    /// Answers until SIGINT or SIGTERM; a second signal cancels the answers that still run.
    pub async fn run(self) -> Result<()> {
        let mut signals = Signals::watch()?;
        self.run_until(async move || signals.next().await).await
    }

    /// Answers until the future that `stop` gives is ready. It is asked a second time then, and
    /// when that future is ready, too, or the grace is over, answers that still run are cancelled.
    pub async fn run_until(self, mut stop: impl AsyncFnMut()) -> Result<()> {
        tracing::info!(url = self.url(), "listening");
        let grace = self.options.shutdown_grace;
        let state = AppState::new(self.trainer.clone(), self.options.clone());
        let no_more = CancellationToken::new();
        let mut serving = self.start(&state, no_more.clone());
        tokio::select! {
            ended = &mut serving => return how_it_ended(ended),
            () = stop() => {}
        }
        tracing::info!("stopping");
        no_more.cancel();
        tokio::select! {
            _ = &mut serving => {}
            () = stop() => {}
            () = tokio::time::sleep(grace) => {}
        }
        finish(&state, serving).await;
        Ok(())
    }

    /// Begins to answer, until `no_more`.
    fn start(self, state: &AppState, no_more: CancellationToken) -> JoinHandle<()> {
        let connections = Connections {
            router: with_state(state.clone()),
            tls: self.tls,
            options: Arc::clone(&state.options),
            no_more,
        };
        tokio::spawn(connections.serve(self.listener))
    }
}

/// Cancels what still runs and waits until its end is stored.
async fn finish(state: &AppState, mut serving: JoinHandle<()>) {
    state.stop_answers.cancel();
    state.tasks.close();
    let last_words = async {
        if !serving.is_finished() {
            let _ = (&mut serving).await;
        }
        state.tasks.wait().await;
    };
    if tokio::time::timeout(LAST_WORDS, last_words).await.is_err() {
        tracing::warn!("connections or jobs did not end in time and are dropped");
    }
    serving.abort();
}

/// Without having been told to, it ends only by a fault.
fn how_it_ended(ended: std::result::Result<(), JoinError>) -> Result<()> {
    ended.map_err(|error| Error::Serve {
        source: std::io::Error::other(error),
    })
}
