//! Limits for loading: what a hostile or broken file may cost at most.

use std::time::Duration;

const MIB: u64 = 1 << 20;

/// How far a loader goes before it gives up with an error that names the limit. Nothing is ever
/// cut to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// The largest file that is read, in bytes. Default 64 MiB.
    pub max_file_bytes: u64,
    /// The most text that is taken out of one file, in bytes of UTF-8; also the most that a
    /// compressed part of a file may unpack to. Default 256 MiB.
    pub max_text_bytes: u64,
    /// The most pages that a file may have. Default 20 000.
    pub max_pages: usize,
    /// The longest time for one file that needs a parser (PDF) or runs an expression (JSON).
    /// Default 10 minutes.
    pub max_time: Duration,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            max_file_bytes: 64 * MIB,
            max_text_bytes: 256 * MIB,
            max_pages: 20_000,
            max_time: Duration::from_secs(600),
        }
    }
}
