//! The server as a client meets it: real HTTP over loopback, with models that need no weights.

// The helpers of a test may do what the test may.
#![allow(clippy::unwrap_used, clippy::panic)]

// The facade's own fakes, so that both crates are tested with the same ones.
#[path = "../../../longtrainer/tests/support/mod.rs"]
mod fakes;
mod server;

mod access;
mod bad_input;
mod bots;
mod chat_lists;
mod chats;
mod cors;
mod docs;
mod documents;
mod isolation;
mod jobs;
mod keys;
mod limits;
mod links;
mod logs;
mod metrics;
mod models;
mod not_here;
mod openai;
mod openapi;
mod ready;
mod shutdown;
mod streams;
mod tls;
mod training;
mod uploads;
mod vision;
