//! The four kinds of grammars in the one language that is compiled.

use llguidance::api::TopLevelGrammar;

use super::schema;
use crate::{Grammar, Tagged};

/// Most bytes of a regular expression or a Lark grammar.
const LONGEST_TEXT: usize = 64 << 10;
/// Most bytes of all choices together.
const LONGEST_CHOICES: usize = 256 << 10;

/// What a kind of grammar is called in an error.
pub(super) fn kind(grammar: &Grammar) -> &'static str {
    match grammar {
        Grammar::JsonSchema(_) => "JSON Schema",
        Grammar::Regex(_) => "regular expression",
        Grammar::Choice(_) => "choice",
        Grammar::Lark(_) => "Lark grammar",
        Grammar::Tagged(_) => "JSON Schema",
    }
}

/// Checks the outside of a grammar and puts it into the compiler's words.
pub(super) fn read(grammar: &Grammar) -> Result<TopLevelGrammar, String> {
    match grammar {
        Grammar::JsonSchema(value) => Ok(TopLevelGrammar::from_json_schema(schema::read(value)?)),
        Grammar::Regex(expression) => regex(expression),
        Grammar::Choice(choices) => choice(choices),
        Grammar::Lark(text) => {
            check_length(text.len(), LONGEST_TEXT)?;
            Ok(TopLevelGrammar::from_lark(text.clone()))
        }
        Grammar::Tagged(tagged) => self::tagged(tagged),
    }
}

/// Text to its end, or up to the first opening mark with values behind it. The text before the mark is
/// lazy: where the mark is complete the text is over, so a mark is never part of a text.
fn tagged(tagged: &Tagged) -> Result<TopLevelGrammar, String> {
    if tagged.open.is_empty() || tagged.close.is_empty() {
        return Err("its marks are empty".to_owned());
    }
    check_length(tagged.open.len() + tagged.close.len(), LONGEST_TEXT)?;
    let schema = schema::read(&tagged.schema)?;
    let [open, close] = [&tagged.open, &tagged.close].map(quoted);
    let quoted = |text: serde_json::Result<String>| text.map_err(|error| error.to_string());
    let (open, close) = (quoted(open)?, quoted(close)?);
    let more = match tagged.many {
        true => format!("(\"\\n\" {open} value)*"),
        false => String::new(),
    };
    Ok(TopLevelGrammar::from_lark(format!(
        "start: TEXT | before value {more}\nTEXT: /(.|\\n)*/\nbefore[lazy]: /(.|\\n)*/ {open}\n\
         value: \"\\n\" json \"\\n\" {close}\njson: %json {schema}\n"
    )))
}

/// The text is matched as a whole, so the anchors at its ends say nothing, and the compiler has none.
fn regex(expression: &str) -> Result<TopLevelGrammar, String> {
    check_length(expression.len(), LONGEST_TEXT)?;
    let inside = expression.strip_prefix('^').unwrap_or(expression);
    let inside = match inside.strip_suffix('$') {
        Some(shorter) if !ends_in_escape(shorter) => shorter,
        _ => inside,
    };
    if inside.is_empty() {
        return Err("it matches only the empty text".to_owned());
    }
    if ends_in_escape(inside) {
        return Err("it ends in the middle of an escape".to_owned());
    }
    Ok(TopLevelGrammar::from_regex(inside))
}

/// Whether the last backslash escapes what would come next.
fn ends_in_escape(expression: &str) -> bool {
    let backslashes = expression.bytes().rev().take_while(|byte| *byte == b'\\');
    backslashes.count() % 2 == 1
}

fn choice(choices: &[String]) -> Result<TopLevelGrammar, String> {
    if choices.is_empty() {
        return Err("there is nothing to choose from".to_owned());
    }
    if choices.iter().any(String::is_empty) {
        return Err("one of the choices is empty".to_owned());
    }
    check_length(choices.iter().map(String::len).sum(), LONGEST_CHOICES)?;
    let strings = choices.iter().map(quoted);
    let strings: Vec<String> = strings
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    let grammar = format!("start: CHOICE\nCHOICE: {}\n", strings.join(" | "));
    Ok(TopLevelGrammar::from_lark(grammar))
}

/// A string of the grammar language, which is one of JSON, but for the delete character.
fn quoted(choice: &String) -> serde_json::Result<String> {
    let quoted = serde_json::to_string(choice)?;
    Ok(quoted.replace('\u{7f}', "\\u007f"))
}

fn check_length(length: usize, longest: usize) -> Result<(), String> {
    if length <= longest {
        return Ok(());
    }
    Err(format!("it has {length} bytes, but may have {longest}"))
}
