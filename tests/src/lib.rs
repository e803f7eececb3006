//! End-to-end tests over the real models and the real binaries.
