//! How a download tells its caller what it is doing: a callback, so that this crate never prints.

/// Receives the progress of [`Registry::pull`](crate::Registry::pull).
///
/// For each file: one `begin`, any number of `advance`, one `finish`. A transfer that is cut and
/// taken up again begins anew, with the bytes already here.
pub trait Progress {
    /// A source is about to be tried, or the pull waits; `description` is one line for a person.
    fn source(&mut self, description: &str);
    /// A transfer starts: its name, its size in bytes if known, and the bytes already here.
    fn begin(&mut self, file: &str, total: Option<u64>, already: u64);
    /// So many more bytes have arrived.
    fn advance(&mut self, bytes: u64);
    /// The transfer has ended, well or not.
    fn finish(&mut self);
    /// Whether the pull is no longer wanted. It then ends with
    /// [`Error::PullCancelled`](crate::Error::PullCancelled); what has arrived is of use to the next.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Ignores all progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn source(&mut self, _description: &str) {}
    fn begin(&mut self, _file: &str, _total: Option<u64>, _already: u64) {}
    fn advance(&mut self, _bytes: u64) {}
    fn finish(&mut self) {}
}
