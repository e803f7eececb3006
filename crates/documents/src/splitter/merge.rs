//! Merging small parts into pieces with a sliding window.
//!
//! The window holds the parts of the piece being made. When the next part does not fit, the window
//! is written out as a piece, and parts leave at its front until what is left is a legal overlap
//! and the next part fits. Each part enters and leaves once, so merging is linear, and only the
//! window is in memory.

use std::collections::VecDeque;

use super::Piece;

/// A stretch of the text, as byte offsets and character counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    start: usize,
    end: usize,
    first_char: usize,
    pub(super) chars: usize,
}

impl Span {
    pub(super) fn whole(text: &str) -> Self {
        Self {
            start: 0,
            end: text.len(),
            first_char: 0,
            chars: text.chars().count(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Cuts `head`, the text that this span begins with, off its front.
    pub(super) fn take(&mut self, head: &str) -> Self {
        let chars = head.chars().count();
        let taken = Self {
            start: self.start,
            end: self.start + head.len(),
            first_char: self.first_char,
            chars,
        };
        self.start = taken.end;
        self.first_char += chars;
        self.chars -= chars;
        taken
    }
}

/// Collects parts, in order, into pieces.
pub(super) struct Merger<'a> {
    text: &'a str,
    chunk_size: usize,
    chunk_overlap: usize,
    window: VecDeque<Span>,
    window_chars: usize,
    pieces: Vec<Piece>,
}

impl<'a> Merger<'a> {
    pub(super) fn new(text: &'a str, chunk_size: usize, chunk_overlap: usize) -> Self {
        Self {
            text,
            chunk_size,
            chunk_overlap,
            window: VecDeque::new(),
            window_chars: 0,
            pieces: Vec::new(),
        }
    }

    pub(super) fn text_of(&self, span: Span) -> &'a str {
        &self.text[span.start..span.end]
    }

    /// Adds the next part, which must not be longer than a piece.
    pub(super) fn push(&mut self, part: Span) {
        if self.window_chars + part.chars > self.chunk_size {
            self.emit();
            self.shrink_for(part);
        }
        self.window_chars += part.chars;
        self.window.push_back(part);
    }

    /// Ends the piece being made; the next part starts afresh, without overlap.
    pub(super) fn flush(&mut self) {
        self.emit();
        self.window.clear();
        self.window_chars = 0;
    }

    pub(super) fn into_pieces(self) -> Vec<Piece> {
        self.pieces
    }

    /// Drops parts at the front until the rest is an overlap that leaves room for `next`.
    fn shrink_for(&mut self, next: Span) {
        while self.window_chars > self.chunk_overlap
            || self.window_chars + next.chars > self.chunk_size
        {
            let Some(first) = self.window.pop_front() else {
                return;
            };
            self.window_chars -= first.chars;
        }
    }

    /// Writes the window out as a piece, unless it is blank.
    fn emit(&mut self) {
        let (Some(first), Some(last)) = (self.window.front(), self.window.back()) else {
            return;
        };
        let stretch = &self.text[first.start..last.end];
        let tail = stretch.trim_start_matches(is_blank);
        let text = tail.trim_end_matches(is_blank);
        if text.is_empty() {
            return;
        }
        let blanks = stretch[..stretch.len() - tail.len()].chars().count();
        self.pieces.push(Piece {
            text: text.to_owned(),
            start: first.first_char + blanks,
        });
    }
}

/// White space as Python's `str.strip` sees it: that of Unicode and the four ASCII information
/// separators.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}
