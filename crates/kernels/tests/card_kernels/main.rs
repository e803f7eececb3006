//! The kernels for cards, without one.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may fail too"
)]

mod in_cpp;
