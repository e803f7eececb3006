//! Standard output: what a command was asked for, as text, table or JSON.
//!
//! Text that comes from documents or a model can hold escape sequences that would steer a terminal,
//! so on a terminal, and in tables anywhere, control characters are left out. A file or pipe gets
//! texts as they are.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use jiff::Timestamp;
use serde::Serialize;

/// Standard output.
#[derive(Debug)]
pub(crate) struct Output {
    stdout: io::Stdout,
    is_terminal: bool,
}

impl Output {
    pub(crate) fn new() -> Self {
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        Self {
            stdout,
            is_terminal,
        }
    }

    /// Whether a person reads it as it comes.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// A line.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        self.piece(text)?;
        self.piece("\n")
    }

    /// A part of a text that is still being made; shown at once.
    pub(crate) fn piece(&mut self, text: &str) -> io::Result<()> {
        let text = if self.is_terminal {
            without_controls(text)
        } else {
            text.into()
        };
        let mut stdout = self.stdout.lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// One JSON value, indented.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        let mut stdout = self.stdout.lock();
        writeln!(stdout, "{text}")?;
        Ok(stdout.flush()?)
    }

    /// Rows in aligned columns. A terminal gets the header, too; a pipe gets only rows.
    pub(crate) fn table<const N: usize>(
        &mut self,
        header: [&str; N],
        rows: &[[String; N]],
    ) -> io::Result<()> {
        let header = header.map(str::to_owned);
        let shown = self.is_terminal.then_some(&header).into_iter().chain(rows);
        let lines: Vec<_> = shown
            .map(|row| row.each_ref().map(|cell| one_line(cell)))
            .collect();
        let mut widths = [0; N];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        lines
            .iter()
            .try_for_each(|line| self.line(&aligned(line, &widths)))
    }
}

fn aligned(cells: &[String], widths: &[usize]) -> String {
    let padded = cells
        .iter()
        .zip(widths)
        .map(|(cell, &width)| format!("{cell:width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// A time as a person reads it, in UTC.
pub(crate) fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `1 document`, `3 documents`.
pub(crate) fn counted(number: impl ToString, noun: &str) -> String {
    match number.to_string().as_str() {
        "1" => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

/// The first `most` characters of a text on one line.
pub(crate) fn excerpt(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// A text whose line breaks and control characters cannot break a table.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn without_controls(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    match text.contains(steers) {
        true => text.replace(steers, "").into(),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_steered_by_a_text() {
        assert_eq!(without_controls("a\u{1b}[2Jb\tc\nd\u{9b}"), "a[2Jb\tc\nd");
        assert_eq!(one_line("a\nb\u{1b}c"), "a b c");
    }

    #[test]
    fn an_excerpt_is_cut_between_characters() {
        assert_eq!(excerpt("  größe \n überall ", 7), "größe ü...");
        assert_eq!(excerpt("kurz", 4), "kurz");
    }

    #[test]
    fn one_thing_is_told_in_the_singular() {
        assert_eq!(counted(1_u64, "document"), "1 document");
        assert_eq!(counted(0, "document"), "0 documents");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        assert_eq!(aligned(&["é".into(), "b".into()], &[3, 5]), "é    b");
    }
}
