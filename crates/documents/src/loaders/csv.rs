//! Tables of separated values: one document a row, a line `Column: value` for each cell.
//!
//! The `csv` crate does the quoting. Two things that it lets pass are errors here, since both lose
//! or mix up cells without a word: rows of another length than the header, and a quote that is
//! never closed, which turns the rest of the file into one cell.

use std::io::Read;

use csv::{ReaderBuilder, StringRecord};

use super::text;
use crate::format::Format;
use crate::source::Source;
use crate::{Document, Error, Result};

/// A last row that no text has (text has no NUL). If it does not come out as it went in, a quote
/// before it was still open.
const SENTINEL: &str = "\n\0\n";

pub(crate) fn load(source: &Source<'_>) -> Result<Vec<Document>> {
    let text = text::decode(source, None)?;
    let records = read_records(source, &text)?;
    let Some((header, rows)) = records.split_first() else {
        return Err(source.empty("there is no text in it"));
    };
    let names = column_names(&header.record);
    let mut documents = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        if row.record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        check_length(source, row, names.len())?;
        documents.push(source.document(page(&names, &row.record), [("row", number.into())]));
    }
    if documents.is_empty() {
        return Err(source.empty("there is a header but no row with text"));
    }
    Ok(documents)
}

/// A record and the line on which it begins.
struct Row {
    line: u64,
    record: StringRecord,
}

fn read_records(source: &Source<'_>, text: &str) -> Result<Vec<Row>> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(source.format, text))
        .from_reader(text.as_bytes().chain(SENTINEL.as_bytes()));
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            source.malformed_because("a row cannot be read", Some(error.into()))
        })?;
        rows.push(Row {
            line: record.position().map_or(0, csv::Position::line),
            record,
        });
    }
    match rows.pop() {
        Some(last) if last.record.len() == 1 && &last.record[0] == "\0" => Ok(rows),
        last => {
            let line = last.map_or(1, |row| row.line);
            Err(source.malformed(format!("a quote in the row at line {line} is never closed")))
        }
    }
}

fn check_length(source: &Source<'_>, row: &Row, expected: usize) -> Result<()> {
    let columns = row.record.len();
    if columns == expected {
        return Ok(());
    }
    Err(Error::RaggedRow {
        path: source.path.to_owned(),
        line: row.line,
        columns,
        expected,
    })
}

/// The comma, unless the header has none and has semicolons or tabs instead, as spreadsheets write
/// them where the comma is the decimal point.
fn delimiter(format: Format, text: &str) -> u8 {
    if format == Format::Tsv {
        return b'\t';
    }
    let header = text.trim_start().lines().next().unwrap_or_default();
    let count = |delimiter: &u8| header.bytes().filter(|byte| byte == delimiter).count();
    if count(&b',') > 0 {
        return b',';
    }
    [b';', b'\t']
        .into_iter()
        .filter(|other| count(other) > 0)
        .max_by_key(count)
        .unwrap_or(b',')
}

/// The names in the header. A column without one is named by its number, and a name that was
/// already there is told apart by its number.
fn column_names(header: &StringRecord) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(header.len());
    let mut seen = std::collections::HashSet::new();
    for (at, name) in header.iter().map(str::trim).enumerate() {
        let number = at + 1;
        names.push(match name {
            "" => format!("column {number}"),
            name if seen.insert(name) => name.to_owned(),
            name => format!("{name} (column {number})"),
        });
    }
    names
}

fn page(names: &[String], record: &StringRecord) -> String {
    let lines = names
        .iter()
        .zip(record)
        .map(|(name, value)| format!("{name}: {}", value.trim()));
    lines.collect::<Vec<_>>().join("\n")
}
