//! The `longtrainer` command as a user sees it: every test runs the real binary in a fresh folder.
//! Nothing here needs a real model; whole flows over real models are in the workspace's `tests` crate.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bench;
mod bots;
mod chats;
mod devices;
mod documents;
mod echo;
mod keys;
mod models;
mod pictures;
mod settings;
#[allow(dead_code, reason = "the tests of the inference crate use more of it")]
#[path = "../../../inference/tests/support/tiny.rs"]
mod tiny;
mod usage;
mod world;
