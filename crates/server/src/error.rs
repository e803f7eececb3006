//! What can go wrong with the server itself. What can go wrong with a request is answered to its
//! sender; see `api_error`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The result of every call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with the server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address that other machines can reach.
    #[error(
        "cannot listen on {host}: other machines could reach it, and this version has neither keys \
         nor TLS; use a loopback address such as 127.0.0.1"
    )]
    NotLoopback {
        /// The address.
        host: IpAddr,
    },
    /// A directory that `documents/path` was to read from is not there, or is none.
    #[error("cannot allow reading from {}", path.display())]
    AllowedDirectory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The system refused to tell about signals, so the server could not be stopped cleanly.
    #[error("cannot wait for signals")]
    Signals {
        /// Why not.
        source: std::io::Error,
    },
    /// The server stopped accepting connections.
    #[error("the server has stopped accepting connections")]
    Serve {
        /// Why.
        source: std::io::Error,
    },
    /// The jobs that an earlier run left unfinished could not be looked through.
    #[error("cannot look through the jobs of the last run")]
    Jobs {
        /// Why not.
        source: longtrainer::Error,
    },
}
