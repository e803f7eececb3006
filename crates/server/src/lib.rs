//! The HTTP interface: the documented REST routes over a [`longtrainer::LongTrainer`], and OpenAI's
//! beside them under `/v1`.
//!
//! A handler parses, calls the facade off the runtime's threads, and answers; one table turns an
//! error into a status. The server listens on this machine alone: it has no keys and no TLS yet, so
//! an address that others can reach is refused.
//!
//! [`Server`] is what the `serve` binary and `longtrainer serve` run; [`router`] is for a program
//! that brings its own listener.

mod allowed_path;
mod answer;
mod api_error;
mod body;
mod bot_patch;
mod chat_types;
mod content_log;
mod error;
mod export;
mod handlers;
mod ids;
mod job_runner;
mod job_types;
mod local_only;
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
mod state;
mod stream;
mod types;
mod upload;
mod vision_types;
mod whole_body;

pub use error::{Error, Result};
pub use logging::{LogFormat, Verbosity, start_log};
pub use options::{
    DEFAULT_BODY_LIMIT, DEFAULT_PICTURE_BODY_LIMIT, DEFAULT_PORT, DEFAULT_SHUTDOWN_GRACE,
    DEFAULT_UPLOAD_LIMIT, ServerOptions,
};
pub use routes::router;
pub use server::{Server, run};
