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
mod chats;
mod cors;
mod documents;
mod isolation;
mod jobs;
mod keys;
mod limits;
mod not_here;
mod shutdown;
mod streams;
mod tls;
mod training;
mod vision;
