//! Recursive character splitting: cut where a reader would, merge back up to the size asked for.
//!
//! A text longer than a piece is cut at blank lines; what is still too long is cut at line breaks,
//! then at spaces, then between characters. The parts are merged in order into pieces of at most
//! `chunk_size` characters, and each piece begins with up to `chunk_overlap` characters of the one
//! before it. A separator stays with the part that follows it, so parts lie side by side in the
//! text and a piece is always a stretch of the document: nothing is copied until a piece is done.
//! The results are those of the recursive splitter that Python users know (the fixture of the tests
//! was made with it). One thing differs: a grapheme cluster (a letter with its accents, an emoji
//! with its modifiers) is kept whole unless it alone is longer than a piece.

mod merge;
#[cfg(test)]
mod tests;

use unicode_segmentation::UnicodeSegmentation;

use crate::{Error, Result};
use merge::{Merger, Span};

/// Where a text is cut, from the best place to the last resort but one; the last resort is between
/// any two characters.
const SEPARATORS: [&str; 3] = ["\n\n", "\n", " "];

/// A stretch of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The text, without white space at either end; never empty.
    pub text: String,
    /// Where it starts in the document, in characters (Unicode scalar values) from 0.
    pub start: usize,
}

/// Cuts texts into overlapping pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splitter {
    chunk_size: usize,
    chunk_overlap: usize,
}

impl Splitter {
    /// The length of a piece, in characters, unless told otherwise.
    pub const DEFAULT_CHUNK_SIZE: usize = 2048;
    /// How much of a piece the next one repeats, in characters, unless told otherwise.
    pub const DEFAULT_CHUNK_OVERLAP: usize = 200;

    /// A splitter that makes pieces of at most `chunk_size` characters, of which at most
    /// `chunk_overlap` are shared with the piece before.
    ///
    /// # Errors
    ///
    /// [`Error::BadChunkSize`] if `chunk_size` is 0 or not larger than `chunk_overlap`.
    pub fn new(chunk_size: usize, chunk_overlap: usize) -> Result<Self> {
        if chunk_overlap >= chunk_size {
            return Err(Error::BadChunkSize {
                chunk_size,
                chunk_overlap,
            });
        }
        Ok(Self {
            chunk_size,
            chunk_overlap,
        })
    }

    /// The most characters that a piece has.
    pub fn chunk_size(&self) -> usize {
        self.chunk_size
    }

    /// The most characters that a piece repeats of the one before.
    pub fn chunk_overlap(&self) -> usize {
        self.chunk_overlap
    }

    /// The pieces of `text`, in order; none if it is blank. Takes time linear in the length of
    /// `text` plus that of all the pieces.
    pub fn split(&self, text: &str) -> Vec<Piece> {
        let mut merger = Merger::new(text, self.chunk_size, self.chunk_overlap);
        self.split_span(Span::whole(text), &SEPARATORS, &mut merger);
        merger.into_pieces()
    }

    /// Cuts `span` at the best separator that it has, hands small parts on to be merged, and cuts
    /// large ones again. It calls itself once for a separator at most.
    fn split_span(&self, span: Span, separators: &[&str], merger: &mut Merger<'_>) {
        let text = merger.text_of(span);
        let Some(at) = separators
            .iter()
            .position(|separator| text.contains(separator))
        else {
            return self.split_characters(span, merger);
        };
        let (separator, finer) = (separators[at], &separators[at + 1..]);
        for part in parts(span, text, separator) {
            if part.chars < self.chunk_size {
                merger.push(part);
            } else {
                merger.flush();
                self.split_span(part, finer, merger);
            }
        }
        merger.flush();
    }

    /// The last resort: a part that has no separator left is cut between grapheme clusters, and a
    /// cluster that is longer than a piece between its characters.
    fn split_characters(&self, span: Span, merger: &mut Merger<'_>) {
        let mut rest = span;
        for cluster in merger.text_of(span).graphemes(true) {
            let cluster = rest.take(cluster);
            if cluster.chars <= self.chunk_size {
                merger.push(cluster);
            } else {
                let mut inner = cluster;
                for character in merger.text_of(cluster).split_inclusive(|_| true) {
                    merger.push(inner.take(character));
                }
            }
        }
        merger.flush();
    }
}

impl Default for Splitter {
    fn default() -> Self {
        Self {
            chunk_size: Self::DEFAULT_CHUNK_SIZE,
            chunk_overlap: Self::DEFAULT_CHUNK_OVERLAP,
        }
    }
}

/// The parts of `span` between separators; each but the first begins with one.
fn parts<'a>(span: Span, text: &'a str, separator: &'a str) -> impl Iterator<Item = Span> + 'a {
    let cuts = text
        .match_indices(separator)
        .map(|(at, _)| at)
        .chain([text.len()]);
    cuts.scan((0, span), move |(from, rest), to| {
        let part = rest.take(&text[*from..to]);
        *from = to;
        Some(part)
    })
    .filter(|part| !part.is_empty())
}
