//! The signals that stop a server: SIGINT (Ctrl-C) and SIGTERM.

use crate::error::{Error, Result};

/// Tells of the signals.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// Begins to watch. From here on the signals no longer end the process by themselves.
    #[cfg(unix)]
    pub(crate) fn watch() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let on = |kind| signal(kind).map_err(|source| Error::Signals { source });
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Begins to watch.
    #[cfg(not(unix))]
    pub(crate) fn watch() -> Result<Self> {
        Ok(Self {})
    }

    /// Waits for Ctrl-C. A system that cannot tell of it leaves the server running.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) {
        if let Err(source) = tokio::signal::ctrl_c().await {
            tracing::error!(error = %Error::Signals { source }, "the server must be ended by force");
            std::future::pending::<()>().await;
        }
    }
}
