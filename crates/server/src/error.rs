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
    /// Requests need a key, since other machines can reach the address or the operator says so, and
    /// none was ever made.
    #[error(
        "cannot serve on {host} without a key: make one with `longtrainer keys create --name NAME`, \
         or serve this machine alone, on 127.0.0.1 and without require_keys"
    )]
    NoKeys {
        /// The address.
        host: IpAddr,
    },
    /// A file of TLS cannot be used.
    #[error("cannot use {} for TLS: {problem}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Of the two files of TLS, one is not named.
    #[error("TLS needs both a certificate and a key, but there is no {missing}")]
    HalfOfTls {
        /// `tls_cert` or `tls_key`.
        missing: &'static str,
    },
    /// What was named as the origin of web pages is none.
    #[error("{origin:?} is no origin of web pages: those read like https://app.example")]
    Origin {
        /// What was named.
        origin: String,
    },
    /// What was named as a network that links may lead into is none.
    #[error("cannot allow links into a network")]
    LinkNetwork {
        /// What is wrong with it.
        source: longtrainer::ParseNetworkError,
    },
    /// A limit that would let nothing pass.
    #[error("{name} is 0, but must be more")]
    ZeroLimit {
        /// The limit.
        name: &'static str,
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
    /// The data directory cannot be opened.
    #[error("cannot open the data folder {}", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: Box<longtrainer::Error>,
    },
    /// The settings cannot be told as TOML.
    #[error("the settings cannot be told")]
    Settings {
        /// Why not.
        source: crate::config::ConfigError,
    },
    /// The jobs that an earlier run left unfinished could not be looked through.
    #[error("cannot look through the jobs of the last run")]
    Jobs {
        /// Why not.
        source: longtrainer::Error,
    },
}
