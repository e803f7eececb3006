//! Progress bars of long work. Where standard error is no terminal, or under `--quiet`, there are
//! none; a transfer then says one line when it begins.

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use longtrainer::BuildProgress;
use longtrainer::models::Progress;

use crate::notes::Notes;

const TRANSFER: &str =
    "  {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
const BUILD: &str = "  {wide_bar} {pos}/{len} documents, {msg} {eta}";

/// A bar on standard error; hidden if `notes` are quiet or nobody watches.
fn bar(notes: Notes, length: Option<u64>, template: &str) -> ProgressBar {
    let target = match notes.are_quiet() {
        true => ProgressDrawTarget::hidden(),
        false => ProgressDrawTarget::stderr(),
    };
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(length, target).with_style(style)
}

/// Shows how a model is fetched.
pub(crate) struct PullBar {
    notes: Notes,
    bar: Option<ProgressBar>,
}

impl PullBar {
    pub(crate) fn new(notes: Notes) -> Self {
        Self { notes, bar: None }
    }
}

impl Progress for PullBar {
    fn source(&mut self, description: &str) {
        self.notes.say(format_args!("  from {description}"));
    }

    fn begin(&mut self, file: &str, total: Option<u64>, already: u64) {
        let size = total.map_or(String::new(), |total| format!(" ({})", HumanBytes(total)));
        self.notes.say(format_args!("  {file}{size}"));
        let bar = bar(self.notes, total, TRANSFER);
        bar.set_position(already);
        bar.reset_eta();
        self.bar = Some(bar);
    }

    fn advance(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Shows how a bot is built.
pub(crate) struct BuildBar {
    notes: Notes,
    bar: Option<ProgressBar>,
}

impl BuildBar {
    pub(crate) fn new(notes: Notes) -> Self {
        Self { notes, bar: None }
    }

    /// Moves the bar; it appears with the first progress, so that a build of nothing shows none.
    pub(crate) fn show(&mut self, progress: BuildProgress) {
        let total = progress.documents_total as u64;
        let bar = self
            .bar
            .get_or_insert_with(|| bar(self.notes, Some(total), BUILD));
        bar.set_position(progress.documents_done as u64);
        bar.set_message(format!("{} passages", progress.chunks_done));
    }
}

impl Drop for BuildBar {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
