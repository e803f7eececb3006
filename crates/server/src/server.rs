//! A server from its start to its end.
//!
//! It stops in steps: no new connections; answers that run may end by themselves for a while; those
//! that still run are cancelled, each with what had been said stored; then it returns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::serve::ListenerExt;
use longtrainer::{JobRecord, LongTrainer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::job_runner;
use crate::options::ServerOptions;
use crate::readiness;
use crate::routes::with_state;
use crate::shutdown::Signals;
use crate::state::AppState;

/// How long cancelled answers, and files that are being read, may take to end. A client that does
/// not read its answer would otherwise keep the server from ending.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A server that listens, but does not answer before [`Server::run`].
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
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
    /// Checks the options, listens, and looks through the jobs that an earlier run left: what can be
    /// done is begun again by [`Server::run`], the rest is marked as failed.
    pub async fn bind(trainer: LongTrainer, options: ServerOptions) -> Result<Self> {
        options.check()?;
        let wanted = SocketAddr::new(options.host, options.port);
        let listen = |source| Error::Listen {
            address: wanted,
            source,
        };
        let listener = TcpListener::bind(wanted).await.map_err(listen)?;
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
            trainer,
            options,
            resumed,
        })
    }

    /// Where it listens: `http://127.0.0.1:8000`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a program prints at the start: the address, and a command to try.
    pub fn greeting(&self) -> String {
        let url = self.url();
        format!("Listening on {url} (this machine only)\nTry: curl {url}/health")
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
        trainer.interrupt_jobs();
        finish(&state, serving).await;
        Ok(())
    }

    /// Begins to answer, until `no_more`.
    fn start(
        self,
        state: &AppState,
        no_more: CancellationToken,
    ) -> JoinHandle<std::io::Result<()>> {
        // A token is smaller than a packet, and waiting to fill one would hold it back.
        let listener = self.listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "small packets are held back");
            }
        });
        let router = with_state(state.clone());
        let serve = axum::serve(listener, router).with_graceful_shutdown(no_more.cancelled_owned());
        tokio::spawn(serve.into_future())
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
async fn finish(state: &AppState, mut serving: JoinHandle<std::io::Result<()>>) {
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

fn how_it_ended(
    ended: std::result::Result<std::io::Result<()>, tokio::task::JoinError>,
) -> Result<()> {
    ended
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
        .map_err(|source| Error::Serve { source })
}
