//! The `longtrainer` command as a user sees it: every test runs the real binary in a fresh folder.
//! Nothing here needs a model; whole flows over real models are in the workspace's `tests` crate.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bots;
mod chats;
mod documents;
mod models;
mod settings;
mod usage;
mod world;
