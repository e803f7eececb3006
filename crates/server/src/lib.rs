//! The HTTP interface: the documented REST routes over a [`longtrainer::LongTrainer`].
//!
//! A handler parses, calls the facade off the runtime's threads, and answers; one table turns an
//! error into a status. Without keys the server listens on this machine alone; with keys every
//! request shows one and sees what it is for.
//!
//! [`Server`] is what the `serve` binary and `longtrainer serve` run; [`router`] is for a program
//! that brings its own listener.

mod access;
mod allowed_path;
mod answer;
mod api_error;
mod body;
pub mod config;
mod connections;
mod cors;
mod error;
mod handlers;
mod ids;
mod ingestion;
mod options;
mod query;
mod routes;
mod scoped;
mod server;
mod shutdown;
mod slow_body;
mod state;
mod stream;
mod tls;
mod types;
mod vision_types;
mod whole_body;

pub use error::{Error, Result};
pub use options::{
    DEFAULT_BODY_LIMIT, DEFAULT_BODY_TIMEOUT, DEFAULT_HEADER_TIMEOUT, DEFAULT_MAX_CONNECTIONS,
    DEFAULT_PICTURE_BODY_LIMIT, DEFAULT_PORT, DEFAULT_SHUTDOWN_GRACE, DEFAULT_WRITE_TIMEOUT,
    ServerOptions,
};
pub use routes::router;
pub use server::{Server, run};
pub use tls::TlsFiles;
