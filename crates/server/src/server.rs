//! A server from its start to its end.
//!
//! It stops in steps: no new connections; answers that run may end by themselves for a while; those
//! that still run are cancelled, each with what had been said stored; then it returns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use longtrainer::{JobRecord, LongTrainer};
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinHandle};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::address;
use crate::connections::{Connections, allow_open_files};
use crate::error::{Error, Result};
use crate::job_runner;
use crate::options::ServerOptions;
use crate::readiness;
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
    /// Jobs that an earlier run left.
    resumed: Vec<JobRecord>,
}

/// Serves until SIGINT or SIGTERM.
pub async fn run(trainer: LongTrainer, options: ServerOptions) -> Result<()> {
    Server::bind(trainer, options).await?.run().await
}

impl Server {
    /// Checks the options, and that those who could come in need a key; listens; and looks through
    /// the jobs that an earlier run left: what can be done is begun again by [`Server::run`], the rest
    /// is marked as failed.
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
        let listener = address::listen(wanted).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let resumed = trainer
            .resume_jobs()
            .map_err(|source| Error::Jobs { source })?;
        if !resumed.is_empty() {
            let jobs = resumed.len();
            tracing::info!(jobs, "going on with what the last run left");
        }
        Ok(Self {
            listener,
            address,
            tls: tls.map(TlsAcceptor::from),
            trainer,
            options,
            resumed,
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
        for job in &self.resumed {
            job_runner::start(&state, job);
        }
        warm_up(&state);
        let no_more = CancellationToken::new();
        let trainer = self.trainer.clone();
        let mut serving = self.start(&state, no_more.clone());
        tokio::select! {
            ended = &mut serving => return how_it_ended(ended),
            () = stop() => {}
        }
        tracing::info!("stopping");
        state.readiness.stopping();
        no_more.cancel();
        tokio::select! {
            _ = &mut serving => {}
            () = stop() => {}
            () = tokio::time::sleep(grace) => {}
        }
        // A job ends at its next safe place and is taken up again at the next start.
        if let Err(error) = trainer.interrupt_jobs() {
            tracing::warn!(%error, "jobs go on until the process ends");
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

/// Loads the models, if that was asked for, while the server already answers.
fn warm_up(state: &AppState) {
    if !state.options.warm {
        return;
    }
    state.readiness.warming();
    let state = state.clone();
    tokio::spawn(async move {
        let begun = Instant::now();
        let phase = Arc::clone(&state.readiness);
        let warmed = state.call(move |trainer| {
            let warmed = readiness::warm(trainer);
            phase.warmed(&warmed);
            warmed
        });
        match warmed.await {
            Ok(()) => tracing::info!(elapsed = ?begun.elapsed(), "the models are loaded"),
            Err(error) => tracing::error!(%error, "the models could not be loaded"),
        }
    });
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
