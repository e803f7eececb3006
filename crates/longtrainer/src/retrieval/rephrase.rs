//! Other phrasings of a question, by the text model: what the ensemble searches for beside the
//! question itself.

use std::collections::HashSet;
use std::sync::Arc;

use longtrainer_inference::{
    FinishReason, GenerateRequest, Message, Role, Sampling, StreamItem, TextModel,
};

/// Phrasings asked for, and the most that are used.
const PHRASINGS: usize = 4;
/// Room for four questions of usual length with their numbers.
const MAX_TOKENS: usize = 256;
/// Enough to leave the question's own words, not enough to leave its meaning.
const TEMPERATURE: f32 = 0.3;
/// The same question is rephrased the same way, so that it finds the same passages.
const SEED: u64 = 0;

const INSTRUCTIONS: &str = "\
You rewrite questions for a search engine. For each question you are given, write four questions \
with the same meaning in other words, as a numbered list and nothing else. Never answer the question.";

/// Small models answer a question unless they have seen once what is wanted instead.
const EXAMPLE_QUESTION: &str = "When was the old bridge over the river built?";
const EXAMPLE_LIST: &str = "\
1. In what year was the old bridge across the river constructed?
2. What is the date of construction of the historic river bridge?
3. How old is the bridge over the river?
4. When did they put up the ancient bridge that crosses the river?";

/// Why there are no phrasings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RephraseError {
    /// The model failed.
    #[error(transparent)]
    Model(#[from] longtrainer_inference::Error),
    /// The model's engine ended within the list.
    #[error("the model's engine ended before it was done")]
    BrokeOff,
    /// The model said nothing that could be searched for.
    #[error("the model gave no phrasing of its own")]
    Nothing,
}

/// Up to four phrasings of `question`, all different from it and from each other.
pub(crate) fn rephrase(
    model: &dyn TextModel,
    question: &str,
    cache_scope: Option<Arc<str>>,
) -> Result<Vec<String>, RephraseError> {
    let list = written_list(model, request(question, cache_scope))?;
    let phrasings = parse(&list, question);
    match phrasings.is_empty() {
        true => Err(RephraseError::Nothing),
        false => Ok(phrasings),
    }
}

/// What the model writes; without its last line if that was cut off.
fn written_list(model: &dyn TextModel, request: GenerateRequest) -> Result<String, RephraseError> {
    let mut text = String::new();
    for item in model.generate(request)? {
        match item? {
            StreamItem::Text(piece) => text.push_str(&piece),
            StreamItem::Token(_) => {}
            StreamItem::Done(end) => {
                if end.finish_reason == FinishReason::Length {
                    text.truncate(text.rfind('\n').unwrap_or(0));
                }
                return Ok(text);
            }
        }
    }
    Err(RephraseError::BrokeOff)
}

fn request(question: &str, cache_scope: Option<Arc<str>>) -> GenerateRequest {
    let messages = vec![
        Message::new(Role::System, INSTRUCTIONS),
        Message::new(Role::User, EXAMPLE_QUESTION),
        Message::new(Role::Assistant, EXAMPLE_LIST),
        Message::new(Role::User, question.trim()),
    ];
    GenerateRequest {
        cache_scope,
        sampling: Sampling {
            temperature: TEMPERATURE,
            seed: Some(SEED),
            ..Sampling::default()
        },
        ..GenerateRequest::new(messages, MAX_TOKENS)
    }
}

/// The phrasings of a list, however the model wrote it: numbers, dots, dashes and quotes around a
/// line are taken off. A line that announces others, repeats the question or an earlier line, or
/// says nothing is left out.
fn parse(list: &str, question: &str) -> Vec<String> {
    let mut seen = HashSet::from([folded(question)]);
    list.lines()
        .map(without_marks)
        .filter(|line| !line.ends_with(':') && line.chars().any(char::is_alphabetic))
        .filter(|line| seen.insert(folded(line)))
        .take(PHRASINGS)
        .map(str::to_owned)
        .collect()
}

/// A line without its place in a list and without quotes.
fn without_marks(line: &str) -> &str {
    let is_quote = |c: char| matches!(c, '"' | '\'' | '“' | '”' | '„' | '`' | '*');
    let line = line.trim().trim_start_matches(|c: char| {
        matches!(c, '-' | '*' | '•' | '#' | '(') || c.is_whitespace()
    });
    without_number(line).trim().trim_matches(is_quote).trim()
}

/// A line without `1.`, `1)` or `1:` at its front. A number without such a mark belongs to it.
fn without_number(line: &str) -> &str {
    let after = line.trim_start_matches(|c: char| c.is_ascii_digit());
    match after.strip_prefix(['.', ')', ':']) {
        Some(rest) if after.len() < line.len() => rest,
        _ => line,
    }
}

/// What makes two phrasings the same: their words, whatever stands between them.
fn folded(text: &str) -> String {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &str = "Who built the lighthouse?";

    #[test]
    fn a_list_is_read_however_it_is_marked() {
        let list = "Here are four phrasings:\n\n1. Who was the builder?\n 2) \"By whom was it built?\"\n\
                    - **Which person built it?**\n* 4: Whose work is it?\n";
        assert_eq!(
            parse(list, QUESTION),
            [
                "Who was the builder?",
                "By whom was it built?",
                "Which person built it?",
                "Whose work is it?"
            ]
        );
    }

    #[test]
    fn repetitions_and_lines_without_words_are_left_out() {
        let list = "1. who built the LIGHTHOUSE\n2.\n3. ...\n4. Its builder?\n5. its builder";
        assert_eq!(parse(list, QUESTION), ["Its builder?"]);
    }

    #[test]
    fn no_more_than_four_are_taken() {
        let list = "a\nb\nc\nd\ne\nf";
        assert_eq!(parse(list, QUESTION), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_number_that_belongs_to_the_phrasing_stays() {
        assert_eq!(
            parse("1862 saw which tower?\n5. 6.\n7", QUESTION),
            ["1862 saw which tower?"]
        );
        assert_eq!(parse("2. 3 ships?", QUESTION), ["3 ships?"]);
    }

    #[test]
    fn nothing_but_noise_is_nothing() {
        assert!(parse("", QUESTION).is_empty());
        assert!(parse("Sure:\n\n---\n", QUESTION).is_empty());
    }
}
