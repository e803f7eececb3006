//! Benchmarks of Longtrainer, and side-by-side runs against its peers.
