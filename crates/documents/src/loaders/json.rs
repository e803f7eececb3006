//! JSON through a jq expression, and JSON lines.
//!
//! A text is checked by `serde_json`, which is strict, and then read again by jaq, which keeps every
//! digit of a number; its own reader alone would also take comments. Nesting is limited before,
//! since jaq recurses. The expression runs under [`guard`](mod@crate::guard). Of jq's functions those that
//! reach outside the data are missing: `env`, `halt`, and what prints.

use std::path::PathBuf;

use jaq_core::data::JustLut;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, compile, load};
use jaq_json::{Val, read};
use serde::de::IgnoredAny;

use super::text;
use crate::format::Format;
use crate::guard::{self, Stop};
use crate::source::Source;
use crate::{Document, Error, LoadOptions, Result};

/// Functions and definitions that an expression may not use: they read the environment, end the
/// process or write to its output.
const WITHHELD: [&str; 7] = [
    "env",
    "halt",
    "halt_error",
    "stderr",
    "stderr_empty",
    "debug",
    "debug_empty",
];

/// How deeply arrays and objects may nest: as deeply as `serde_json` lets them in values.
const MAX_NESTING: usize = 128;

type Filter = compile::Filter<jaq_core::Native<JustLut<Val>>>;

/// The documents that `expression` makes of a JSON file.
pub(crate) fn load(source: &Source<'_>, expression: &str) -> Result<Vec<Document>> {
    let text = text::decode(source, None)?;
    check(source, &text, 0)?;
    let (path, options): (PathBuf, LoadOptions) = (source.path.to_owned(), source.options.clone());
    let expression = expression.to_owned();
    let documents = guard::run(source, move |bytes, stop| {
        let source = Source {
            path: &path,
            format: Format::Json,
            bytes: &bytes,
            options: &options,
        };
        evaluate(&source, &text, &expression, stop)
    })??;
    if documents.is_empty() {
        return Err(source.empty("the jq expression gives no text from it"));
    }
    Ok(documents)
}

/// One document for each line that is not blank, the value on it as [`load()`] writes it with `.`.
pub(crate) fn load_lines(source: &Source<'_>) -> Result<Vec<Document>> {
    let text = text::decode(source, None)?;
    let mut documents = Vec::new();
    for (at, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        check(source, line, at)?;
        let value = parse(source, line)?;
        push(source, &mut documents, at + 1, &value);
    }
    if documents.is_empty() {
        return Err(source.empty("every line is null or empty text"));
    }
    Ok(documents)
}

fn evaluate(
    source: &Source<'_>,
    text: &str,
    expression: &str,
    stop: &Stop,
) -> Result<Vec<Document>> {
    let filter = compile(expression)?;
    let value = parse(source, text)?;
    let context = Ctx::<JustLut<Val>>::new(&filter.lut, Vars::new([]));
    let (mut documents, mut length) = (Vec::new(), 0);
    for (at, result) in filter.id.run((context, value)).enumerate() {
        let value = result.map_err(|error| Error::JqFailed {
            path: source.path.to_owned(),
            expression: expression.to_owned(),
            reason: match error.get_err() {
                Ok(error) => error.to_string(),
                Err(_) => "it breaks off".to_owned(),
            },
        })?;
        length += push(source, &mut documents, at + 1, &value) as u64;
        if length > source.options.max_text_bytes {
            return Err(source.too_much_text());
        }
        if stop.is_set() {
            break;
        }
    }
    Ok(documents)
}

/// Adds the document of a value, unless it is null or empty; says how long its text is.
fn push(source: &Source<'_>, documents: &mut Vec<Document>, number: usize, value: &Val) -> usize {
    let text = match value {
        Val::Null => String::new(),
        Val::TStr(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        value => value.to_string(),
    };
    let length = text.len();
    if !text.trim().is_empty() {
        documents.push(source.document(text, [("seq_num", number.into())]));
    }
    length
}

fn parse(source: &Source<'_>, text: &str) -> Result<Val> {
    read::parse_single(text.as_bytes())
        .map_err(|error| source.malformed_because("a value cannot be read", Some(error.into())))
}

/// Checks that `text`, which `before` lines precede, is one JSON value that does not nest too deeply.
fn check(source: &Source<'_>, text: &str, before: usize) -> Result<()> {
    let depth = nesting(text);
    if depth > MAX_NESTING {
        let line = before + 1;
        return Err(source.malformed(format!(
            "the value at line {line} nests {depth} levels deep; the limit is {MAX_NESTING}"
        )));
    }
    serde_json::from_str::<IgnoredAny>(text)
        .map(drop)
        .map_err(|error| {
            let reason = format!("line {}, column {}", before + error.line(), error.column());
            source.malformed_because(reason, Some(error.into()))
        })
}

/// How deeply arrays and objects nest at most; brackets in strings do not count.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn compile(expression: &str) -> Result<Filter> {
    let definitions = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs())
        .filter(|definition| !WITHHELD.contains(&definition.name));
    let functions = jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs())
        .filter(|function| !WITHHELD.contains(&function.0));
    let bad = |reason| Error::BadJqExpression {
        expression: expression.to_owned(),
        reason,
    };
    let arena = Arena::default();
    let modules = Loader::new(definitions)
        .load(
            &arena,
            File {
                code: expression,
                path: (),
            },
        )
        .map_err(|errors| bad(errors.iter().map(|(_, error)| syntax(error)).collect()))?;
    Compiler::default()
        .with_funs(functions)
        .compile(modules)
        .map_err(|errors| bad(errors.iter().map(|(_, error)| undefined(error)).collect()))
}

/// The first of the errors; the others mostly follow from it.
fn syntax(error: &load::Error<&str>) -> String {
    match error {
        load::Error::Io(errors) => errors.first().map(|(_, reason)| reason.clone()),
        load::Error::Lex(errors) => errors
            .first()
            .map(|(expected, found)| wanted(expected.as_str(), found)),
        load::Error::Parse(errors) => errors
            .first()
            .map(|(expected, found)| wanted(expected.as_str(), found)),
    }
    .unwrap_or_else(|| "it cannot be parsed".to_owned())
}

fn wanted(expected: &str, found: &str) -> String {
    let place = if found.is_empty() {
        "the end".to_owned()
    } else {
        format!("{found:?}")
    };
    format!("expected {expected} at {place}")
}

fn undefined(errors: &[compile::Error<&str>]) -> String {
    let names = errors
        .iter()
        .map(|(name, kind)| format!("there is no {} {name}", kind.as_str()));
    names.collect::<Vec<_>>().join(", ")
}
