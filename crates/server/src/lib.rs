//! The HTTP interface and the `serve` binary.
