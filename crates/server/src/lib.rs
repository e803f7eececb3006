//! The HTTP interface: the documented REST routes over a [`longtrainer::LongTrainer`], and OpenAI's
//! beside them under `/v1`.
//!
//! A handler parses, calls the facade off the runtime's threads, and answers; one table turns an
//! error into a status. Without keys the server listens on this machine alone; with keys every
//! request shows one and sees what it is for.
//!
//! [`Server`] is what the `serve` binary and `longtrainer serve` run; [`router`] is for a program
//! that brings its own listener.

mod access;
mod address;
mod allowed_path;
mod answer;
mod api_error;
mod body;
mod bot_patch;
mod chat_types;
pub mod config;
mod connections;
mod content_log;
mod cors;
mod error;
mod export;
mod handlers;
mod ids;
mod job_runner;
mod job_types;
mod logging;
mod metrics;
mod observed;
mod openai;
mod openapi;
mod options;
mod query;
mod readiness;
mod request_id;
mod routes;
mod scoped;
mod server;
mod shutdown;
mod slow_body;
mod state;
mod stream;
mod tls;
mod types;
mod upload;
mod vision_types;
mod whole_body;

pub use error::{Error, Result};
pub use logging::{LogFormat, Verbosity, start_log};
pub use options::{
    DEFAULT_BODY_LIMIT, DEFAULT_BODY_TIMEOUT, DEFAULT_HEADER_TIMEOUT, DEFAULT_MAX_CONNECTIONS,
    DEFAULT_PICTURE_BODY_LIMIT, DEFAULT_PORT, DEFAULT_SHUTDOWN_GRACE, DEFAULT_UPLOAD_LIMIT,
    DEFAULT_WRITE_TIMEOUT, ServerOptions,
};
pub use routes::router;
pub use server::{Server, run};
pub use tls::TlsFiles;
