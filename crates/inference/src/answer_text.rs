//! From the bytes of tokens to the text that a person sees.
//!
//! A token may end in the middle of a UTF-8 character, and a stop string may be spread over tokens.
//! Both are held back until it is clear what they are: bytes until the character is whole, text for
//! as long as it may still be the beginning of a stop string. What was handed out is never taken
//! back, so the pieces of a stream are exactly the text of the whole answer.

use std::str;

/// What a push or the end brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Text that is ready; may be empty.
    pub(crate) text: String,
    /// Whether a stop string was found; nothing comes after that.
    pub(crate) stopped: bool,
}

/// Collects the bytes of one answer.
#[derive(Debug)]
pub(crate) struct AnswerText {
    stops: Vec<String>,
    /// The beginning of a character.
    bytes: Vec<u8>,
    /// Text that may be the beginning of a stop string.
    held: String,
}

impl AnswerText {
    /// An empty answer that ends before the first of `stops`; none of them is empty.
    pub(crate) fn new(stops: Vec<String>) -> Self {
        Self {
            stops,
            bytes: Vec::new(),
            held: String::new(),
        }
    }

    /// Adds the bytes of a token.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Piece {
        self.bytes.extend_from_slice(bytes);
        take_characters(&mut self.bytes, &mut self.held);
        self.release()
    }

    /// Ends the answer: a character that was never finished becomes U+FFFD, and what was held back
    /// for a stop string that never came is text after all.
    pub(crate) fn finish(&mut self) -> Piece {
        if !self.bytes.is_empty() {
            self.bytes.clear();
            self.held.push(char::REPLACEMENT_CHARACTER);
        }
        let mut piece = self.release();
        if !piece.stopped {
            piece.text.push_str(&std::mem::take(&mut self.held));
        }
        piece
    }

    fn release(&mut self) -> Piece {
        if let Some(start) = self.first_stop() {
            self.held.truncate(start);
            return Piece {
                text: std::mem::take(&mut self.held),
                stopped: true,
            };
        }
        let kept = self.held.split_off(self.held.len() - self.undecided());
        Piece {
            text: std::mem::replace(&mut self.held, kept),
            stopped: false,
        }
    }

    fn first_stop(&self) -> Option<usize> {
        let found = self.stops.iter().filter_map(|stop| self.held.find(stop));
        found.min()
    }

    /// Bytes at the end that are the beginning of a stop string; the longest such end counts.
    fn undecided(&self) -> usize {
        let lengths = self.stops.iter().map(|stop| overlap(&self.held, stop));
        lengths.max().unwrap_or(0)
    }
}

/// Length of the longest end of `text` that is a beginning, but not the whole, of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let beginnings = stop.char_indices().rev().map(|(end, _)| &stop[..end]);
    let mut matching = beginnings.filter(|beginning| text.ends_with(beginning));
    matching.next().map_or(0, str::len)
}

/// Moves whole characters from `bytes` to `text`; a sequence that can never become a character
/// becomes U+FFFD, as in [`String::from_utf8_lossy`].
fn take_characters(bytes: &mut Vec<u8>, text: &mut String) {
    let mut start = 0;
    loop {
        let rest = &bytes[start..];
        match str::from_utf8(rest) {
            Ok(whole) => {
                text.push_str(whole);
                start = bytes.len();
                break;
            }
            Err(error) => {
                let valid = error.valid_up_to();
                text.push_str(&String::from_utf8_lossy(&rest[..valid]));
                start += valid;
                let Some(invalid) = error.error_len() else {
                    break;
                };
                text.push(char::REPLACEMENT_CHARACTER);
                start += invalid;
            }
        }
    }
    bytes.drain(..start);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], pieces: &[&[u8]]) -> (String, bool, Vec<String>) {
        let stops = stops.iter().map(|stop| (*stop).to_owned()).collect();
        let mut answer = AnswerText::new(stops);
        let mut texts = Vec::new();
        for bytes in pieces {
            let piece = answer.push(bytes);
            texts.push(piece.text);
            if piece.stopped {
                return (texts.concat(), true, texts);
            }
        }
        let last = answer.finish();
        texts.push(last.text);
        (texts.concat(), last.stopped, texts)
    }

    #[test]
    fn characters_are_never_split() {
        let text = "né 👩‍🚀 漢字 end";
        for size in 1..6 {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let (whole, stopped, _) = run(&[], &pieces);
            assert_eq!(whole, text, "chunks of {size}");
            assert!(!stopped);
        }
    }

    #[test]
    fn bytes_that_are_no_text_become_the_replacement_character() {
        let cases: [&[u8]; 5] = [
            b"a\xFFb",
            b"a\xE2\x82",
            b"\xF0\x9F\x98x",
            b"\xC0\xAF",
            b"\xED\xA0\x80",
        ];
        for bytes in cases {
            for size in 1..=bytes.len() {
                let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
                let (whole, _, _) = run(&[], &pieces);
                assert_eq!(whole, String::from_utf8_lossy(bytes), "{bytes:?} by {size}");
            }
        }
    }

    #[test]
    fn text_before_a_stop_string_is_delivered() {
        let (whole, stopped, pieces) = run(&["END"], &[b"abcE", b"N", b"Dxyz"]);
        assert_eq!((whole.as_str(), stopped), ("abc", true));
        assert_eq!(pieces, ["abc", "", ""]);
    }

    #[test]
    fn a_stop_string_that_never_comes_is_text() {
        let (whole, stopped, pieces) = run(&["END"], &[b"aEN", b"Eb", b"EN"]);
        assert_eq!((whole.as_str(), stopped), ("aENEbEN", false));
        assert_eq!(pieces, ["a", "ENEb", "", "EN"]);
    }

    #[test]
    fn the_earliest_of_several_stop_strings_wins() {
        assert_eq!(run(&["cd", "bc"], &[b"abcd"]).0, "a");
        assert_eq!(
            run(&["\n\n", "é!"], &["x\ny\u{e9}!".as_bytes()]).0,
            "x\ny\u{e9}".replace('\u{e9}', "")
        );
    }

    #[test]
    fn a_stop_string_may_begin_in_the_middle_of_its_own_beginning() {
        assert_eq!(run(&["aab"], &[b"a", b"a", b"a", b"b", b"c"]).0, "a");
    }

    #[test]
    fn a_stop_string_may_split_inside_a_character() {
        let bytes = "x漢字y".as_bytes();
        let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
        let (whole, stopped, _) = run(&["字"], &pieces);
        assert_eq!((whole.as_str(), stopped), ("x漢", true));
    }
}
