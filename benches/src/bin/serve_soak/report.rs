//! What came of it all.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::Flags;
use crate::check::Checked;
use crate::figures::{Left, Sample};
use crate::soak::Soak;
use crate::tally::Endings;

/// A kill, and what was there afterwards.
#[derive(Debug, Serialize)]
pub(crate) struct Kill {
    /// Since the start.
    pub(crate) after_seconds: f64,
    /// Things acknowledged until then.
    pub(crate) acknowledged: usize,
    /// From the next start to `/ready`.
    pub(crate) ready_after_ms: f64,
    /// Things that were looked for.
    pub(crate) checked: usize,
    /// Things that were not as they must be.
    pub(crate) lost: usize,
}

/// The summary of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    minutes: f64,
    visitors: usize,
    seed: u64,
    keys: bool,
    acts: BTreeMap<String, Endings>,
    kills: Vec<Kill>,
    /// Things looked for at the end, with nobody at work.
    checked_at_the_end: usize,
    /// Over all checks.
    lost: usize,
    /// Why memory is not flat; nothing if it is, or if there are too few samples to tell.
    memory_growth: Option<String>,
    memory: Vec<Sample>,
    /// The first complaints, and how many there are.
    complaints: Vec<String>,
    complaint_count: usize,
}

impl Summary {
    pub(crate) fn new(
        flags: &Flags,
        soak: &Soak,
        kills: Vec<Kill>,
        last: Checked,
        left: Left,
    ) -> Self {
        let (complaints, complaint_count) = soak.tally.complaints();
        Self {
            minutes: flags.minutes,
            visitors: flags.visitors,
            seed: flags.seed,
            keys: flags.keys,
            acts: soak.tally.acts(),
            lost: kills.iter().map(|kill| kill.lost).sum::<usize>() + last.lost,
            kills,
            checked_at_the_end: last.things,
            memory_growth: left.growth,
            memory: left.samples,
            complaints,
            complaint_count,
        }
    }

    /// Whether everything was as it must be.
    pub(crate) fn has_passed(&self) -> bool {
        self.complaint_count == 0 && self.lost == 0
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text + "\n")
            .with_context(|| format!("cannot write {}", path.display()))
    }

    pub(crate) fn print(&self) {
        println!("\n| act | done | left | refused | killed | wrong |\n|---|---|---|---|---|---|");
        for (act, endings) in &self.acts {
            println!(
                "| {act} | {} | {} | {} | {} | {} |",
                endings.done, endings.left, endings.refused, endings.killed, endings.wrong
            );
        }
        println!(
            "\n| kill | after | acknowledged | ready after | checked | lost |\n|---|---|---|---|---|---|"
        );
        for (number, kill) in (1..).zip(&self.kills) {
            println!(
                "| {number} | {:.0} s | {} | {:.0} ms | {} | {} |",
                kill.after_seconds, kill.acknowledged, kill.ready_after_ms, kill.checked, kill.lost
            );
        }
        self.print_memory();
        for complaint in &self.complaints {
            println!("wrong: {complaint}");
        }
        println!(
            "checked at the end: {}; lost in all: {}; complaints: {}",
            self.checked_at_the_end, self.lost, self.complaint_count
        );
        println!(
            "{}",
            if self.has_passed() {
                "passed"
            } else {
                "failed"
            }
        );
    }

    /// A line for each server: its memory without keys and values, and these.
    fn print_memory(&self) {
        println!(
            "\n| server | samples | memory less cache, first | last | most | cache, last | store, last |"
        );
        println!("|---|---|---|---|---|---|---|");
        let lives = self.memory.last().map_or(0, |sample| sample.life);
        for life in 1..=lives {
            let of_life = self.memory.iter().filter(|sample| sample.life == life);
            let samples: Vec<_> = of_life.collect();
            let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
                continue;
            };
            let most = samples.iter().map(|sample| sample.used()).max();
            println!(
                "| {life} | {} | {} | {} | {} | {} | {} |",
                samples.len(),
                megabytes(first.used()),
                megabytes(last.used()),
                megabytes(most.unwrap_or_default()),
                megabytes(last.cache),
                megabytes(last.store)
            );
        }
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
