//! Prompt templates: a system prompt with a place for the retrieved passages.
//!
//! The documented syntax is that of Python's format strings with one name, `{context}`; a literal
//! brace is doubled. A template is checked when it is set, so that a mistake is an error there and
//! not a bot that silently answers without its documents.
//!
//! A filled template is the system message, as documented. That begins every prompt of a chat with
//! other passages, so nothing that the engine still holds of the last prompt is of use. A template
//! that ends with a paragraph for the passages, as the default does, is therefore taken apart: the
//! paragraphs before it are the system message, and that paragraph goes before the question.

use crate::error::{Error, Result};

/// The template of a bot whose owner set none.
pub const DEFAULT_PROMPT_TEMPLATE: &str = "\
You are Longtrainer, an assistant that answers questions about the user's own documents. \
Answer from the passages below. Be brief and exact. If they do not hold the answer, say that you \
do not know.

Passages:
{context}";

const PLACEHOLDER: &str = "context";
const BLANK_LINE: &str = "\n\n";

/// Where a template puts the passages of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    /// The system message.
    pub(crate) system: String,
    /// What goes before the question, in the same message; empty if nothing does.
    pub(crate) before_question: String,
}

/// A checked template: the literal pieces around each `{context}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptTemplate {
    pieces: Vec<String>,
}

impl PromptTemplate {
    /// Checks a template. It must have `{context}` at least once and no other placeholder.
    pub fn parse(template: &str) -> Result<Self> {
        let mut pieces = vec![String::new()];
        let mut rest = template;
        while let Some(at) = rest.find(['{', '}']) {
            let (literal, from_brace) = rest.split_at(at);
            push_literal(&mut pieces, literal);
            let offset = template.len() - from_brace.len();
            rest = if let Some(after) = escaped_brace(from_brace) {
                push_literal(&mut pieces, &from_brace[..1]);
                after
            } else {
                let after = placeholder(template, from_brace, offset)?;
                pieces.push(String::new());
                after
            };
        }
        push_literal(&mut pieces, rest);
        if pieces.len() < 2 {
            return Err(unusable(
                "it has no {context}, the place for the retrieved passages",
            ));
        }
        Ok(Self { pieces })
    }

    /// The system prompt with `context` in its place. Braces in `context` mean nothing.
    pub fn fill(&self, context: &str) -> String {
        self.pieces.join(context)
    }

    /// The texts around a question with `passages` in their place.
    pub(crate) fn place(&self, passages: &str) -> Placed {
        let (system, before_question) = match self.last_paragraph() {
            None => (self.fill(passages), String::new()),
            Some((system, _)) if passages.is_empty() => (system.to_owned(), String::new()),
            Some((system, lead)) => (system.to_owned(), format!("{lead}{passages}")),
        };
        Placed {
            system,
            before_question,
        }
    }

    /// The paragraphs before the last and what the last says before its `{context}`, if that is the
    /// only one and ends the template.
    fn last_paragraph(&self) -> Option<(&str, &str)> {
        let [before, after] = self.pieces.as_slice() else {
            return None;
        };
        let (system, lead) = before.rsplit_once(BLANK_LINE)?;
        let is_whole = after.trim().is_empty() && !system.trim().is_empty();
        is_whole.then(|| (system.trim_end(), lead))
    }
}

fn push_literal(pieces: &mut [String], literal: &str) {
    if let Some(last) = pieces.last_mut() {
        last.push_str(literal);
    }
}

fn escaped_brace(text: &str) -> Option<&str> {
    text.strip_prefix("{{").or_else(|| text.strip_prefix("}}"))
}

/// Takes `{context}` off the front of `text`, which begins with a single brace.
fn placeholder<'t>(template: &str, text: &'t str, offset: usize) -> Result<&'t str> {
    let place = template[..offset].chars().count() + 1;
    let Some(inside) = text.strip_prefix('{') else {
        return Err(unusable(&format!(
            "a stray }} at character {place} (write }}}} for a brace)"
        )));
    };
    match inside.split_once('}') {
        Some((PLACEHOLDER, after)) => Ok(after),
        Some((name, _)) if !name.contains(['{', '\n']) && name.chars().count() <= 64 => {
            Err(unusable(&format!(
                "{{{name}}} at character {place} is not a placeholder: only {{context}} is (write \
                 {{{{ and }}}} for braces)"
            )))
        }
        _ => Err(unusable(&format!(
            "a stray {{ at character {place} (write {{{{ for a brace)"
        ))),
    }
}

fn unusable(reason: &str) -> Error {
    Error::PromptTemplate {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(template: &str) -> String {
        PromptTemplate::parse(template).unwrap_err().to_string()
    }

    #[test]
    fn the_default_template_is_usable() {
        let filled = PromptTemplate::parse(DEFAULT_PROMPT_TEMPLATE)
            .unwrap()
            .fill("a {b} c");
        assert!(filled.ends_with("a {b} c"));
    }

    #[test]
    fn every_place_is_filled_and_doubled_braces_are_literal() {
        let template = PromptTemplate::parse("{context} {{\"json\": 1}} é{context}").unwrap();
        assert_eq!(template.fill("X"), "X {\"json\": 1} éX");
    }

    #[test]
    fn a_template_without_a_place_is_refused() {
        assert!(reason("Answer well.").contains("no {context}"));
        assert!(reason("").contains("no {context}"));
        assert!(reason("{{context}}").contains("no {context}"));
    }

    #[test]
    fn stray_braces_are_named_with_their_place() {
        assert!(reason("é} {context}").contains("stray } at character 2"));
        assert!(reason("{context} {").contains("stray { at character 11"));
        assert!(reason("{\"a\": {context}}").contains("stray { at character 1"));
    }

    fn place(template: &str, passages: &str) -> (String, String) {
        let placed = PromptTemplate::parse(template).unwrap().place(passages);
        (placed.system, placed.before_question)
    }

    #[test]
    fn a_last_paragraph_for_the_passages_goes_with_the_question() {
        let (system, before) = place("Be brief.\n\nBe kind.\n\nPassages:\n{context}\n", "P");
        assert_eq!(system, "Be brief.\n\nBe kind.");
        assert_eq!(before, "Passages:\nP");
        let (system, before) = place("Be brief.\n\nPassages: {context}", "");
        assert_eq!((&*system, &*before), ("Be brief.", ""));
    }

    #[test]
    fn the_system_message_of_the_default_is_the_same_for_all_passages() {
        let (system, before) = place(DEFAULT_PROMPT_TEMPLATE, "P {context}");
        assert_eq!(place(DEFAULT_PROMPT_TEMPLATE, "Q").0, system);
        assert!(before.ends_with("P {context}"), "{before}");
    }

    #[test]
    fn any_other_template_is_filled_as_documented() {
        for template in [
            "Be kind. {context}",
            "{context}",
            "\n\n{context}",
            "Be kind.\n\n{context}\n\nBe brief.",
            "Use {context}.\n\nAgain: {context}",
        ] {
            let (system, before) = place(template, "P");
            assert_eq!(system, template.replace("{context}", "P"));
            assert_eq!(before, "");
        }
    }

    #[test]
    fn another_placeholder_is_named() {
        assert!(reason("{context} {question}").contains("{question} at character 11"));
        assert!(reason("{context} {}").contains("{} at character 11"));
    }
}
