//! Reads calls of functions out of a model's text while it comes.
//!
//! The grammar has made sure of the form; here it is only taken apart: `{"name": "...", "arguments":
//! {...}}`, alone where a function must be called, else between marks behind some text.

use super::pieces::Piece;
use super::stamp;
use super::tools::{CLOSE, OPEN};

/// Stands between a call's name and its arguments. A name has no quotation marks.
const BEFORE_ARGUMENTS: &str = "\"arguments\": ";
const BEFORE_NAME: &str = "\"name\": \"";

/// Takes a text apart.
pub(super) struct CallReader {
    place: Place,
    /// What was not yet understood.
    held: String,
    /// Calls begun so far.
    calls: usize,
}

/// Where in the text it is.
enum Place {
    /// In text, or between two calls.
    Text,
    /// Before the arguments of a call.
    Head,
    /// Within them.
    Arguments(Nesting),
    /// Behind them; `marked` if a mark ends the call.
    Tail,
    /// Behind the only call.
    End,
}

/// How deep in a JSON object a text is.
#[derive(Default)]
struct Nesting {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    /// Length of what belongs to the object, and whether it is complete.
    fn read(&mut self, text: &str) -> (usize, bool) {
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                b'{' | b'[' if !self.in_string => self.depth += 1,
                b'}' | b']' if !self.in_string => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return (at + 1, true);
                    }
                }
                _ => {}
            }
        }
        (text.len(), false)
    }
}

impl CallReader {
    /// Of a text that may go over into calls, or that is one.
    pub(super) fn new(must_call: bool) -> Self {
        Self {
            place: match must_call {
                true => Place::Head,
                false => Place::Text,
            },
            held: String::new(),
            calls: 0,
        }
    }

    /// Whether a call was begun.
    pub(super) fn has_called(&self) -> bool {
        self.calls > 0
    }

    /// What more of the text brings.
    pub(super) fn read(&mut self, text: &str, alone: bool) -> Vec<Piece> {
        self.held.push_str(text);
        let mut pieces = Vec::new();
        while self.step(alone, &mut pieces) {}
        pieces
    }

    /// What was held back and is text after all.
    pub(super) fn finish(&mut self) -> Option<Piece> {
        let rest = std::mem::take(&mut self.held);
        let is_text = matches!(self.place, Place::Text) && !rest.is_empty();
        let is_between = self.has_called() && rest.trim().is_empty();
        (is_text && !is_between).then_some(Piece::Text(rest))
    }

    /// Goes on by one part; false where more text is needed.
    fn step(&mut self, alone: bool, pieces: &mut Vec<Piece>) -> bool {
        match &mut self.place {
            Place::Text => self.text(pieces),
            Place::Head => self.head(pieces),
            Place::Arguments(nesting) => {
                let (length, is_whole) = nesting.read(&self.held);
                let arguments: String = self.held.drain(..length).collect();
                if !arguments.is_empty() {
                    pieces.push(Piece::Arguments {
                        call: self.calls - 1,
                        text: arguments,
                    });
                }
                if is_whole {
                    self.place = match alone {
                        true => Place::End,
                        false => Place::Tail,
                    };
                }
                is_whole
            }
            Place::Tail => {
                let Some(at) = self.held.find(CLOSE) else {
                    return false;
                };
                self.held.drain(..at + CLOSE.len());
                self.place = Place::Text;
                true
            }
            Place::End => {
                self.held.clear();
                false
            }
        }
    }

    fn text(&mut self, pieces: &mut Vec<Piece>) -> bool {
        let found = self.held.find(OPEN);
        let end = found.unwrap_or_else(|| self.held.len() - beginning_of_mark(&self.held));
        let is_between = self.has_called() && self.held[..end].trim().is_empty();
        if found.is_none() && is_between {
            return false;
        }
        let text: String = self.held.drain(..end).collect();
        if !text.is_empty() && !is_between {
            pieces.push(Piece::Text(text));
        }
        if found.is_some() {
            self.held.drain(..OPEN.len());
            self.place = Place::Head;
        }
        found.is_some()
    }

    fn head(&mut self, pieces: &mut Vec<Piece>) -> bool {
        let Some(at) = self.held.find(BEFORE_ARGUMENTS) else {
            return false;
        };
        let head: String = self.held.drain(..at + BEFORE_ARGUMENTS.len()).collect();
        let name = head.split(BEFORE_NAME).nth(1).unwrap_or_default();
        let name = name.split('"').next().unwrap_or_default();
        pieces.push(Piece::Call {
            call: self.calls,
            id: stamp::id("call_"),
            name: name.to_owned(),
        });
        self.calls += 1;
        self.place = Place::Arguments(Nesting::default());
        true
    }
}

/// Bytes at the end of a text that may be the beginning of the mark.
fn beginning_of_mark(text: &str) -> usize {
    let lengths = (1..OPEN.len()).rev();
    lengths
        .into_iter()
        .find(|length| text.ends_with(&OPEN[..*length]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts, and calls as `name arguments`, whatever pieces they come in.
    fn read(text: &str, must_call: bool, size: usize) -> (String, Vec<String>) {
        let mut reader = CallReader::new(must_call);
        let (mut said, mut calls) = (String::new(), Vec::<String>::new());
        let characters: Vec<char> = text.chars().collect();
        let mut pieces = Vec::new();
        for part in characters.chunks(size) {
            pieces.extend(reader.read(&String::from_iter(part), must_call));
        }
        pieces.extend(reader.finish());
        for piece in pieces {
            match piece {
                Piece::Text(text) => said += &text,
                Piece::Call { name, .. } => calls.push(format!("{name} ")),
                Piece::Arguments { call, text } => calls[call] += &text,
                _ => panic!("no such piece"),
            }
        }
        (said, calls)
    }

    #[test]
    fn calls_are_read_from_pieces_of_any_size() {
        let call = |n| {
            format!(
                "<tool_call>\n{{\"name\": \"f\", \"arguments\": {{\"a\": [{n}, \"}}\\\"{{\"]}}}}\n</tool_call>"
            )
        };
        let text = format!("Let me <see>.\n{}\n{}", call(1), call(2));
        for size in 1..40 {
            let (said, calls) = read(&text, false, size);
            assert_eq!(said, "Let me <see>.\n");
            assert_eq!(
                calls,
                ["f {\"a\": [1, \"}\\\"{\"]}", "f {\"a\": [2, \"}\\\"{\"]}"]
            );
        }
    }

    #[test]
    fn a_call_that_must_be_has_no_marks() {
        for size in 1..40 {
            let (said, calls) = read("{\"name\": \"g-1\", \"arguments\": {}}", true, size);
            assert_eq!(
                (said.as_str(), calls.as_slice()),
                ("", ["g-1 {}".to_owned()].as_slice())
            );
        }
    }

    #[test]
    fn text_that_only_begins_like_a_call_is_text() {
        for text in [
            "a <tool",
            "<",
            "<tool_cal>",
            "no call at all ",
            "<tool_<tool_",
        ] {
            for size in 1..8 {
                assert_eq!(read(text, false, size), (text.to_owned(), Vec::new()));
            }
        }
    }
}
