//! Model registry: find, fetch, verify and pack the weights.
