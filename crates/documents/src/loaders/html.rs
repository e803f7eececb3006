//! The readable text of a web page, and its title.
//!
//! The tokens of html5ever are read one after the other, without building a tree: all that matters
//! here is which tags break a line, and a tree of a page that nests a million elements takes
//! quadratic time to build and much stack to free. Scripts and styles are left out; everything else
//! that has text is kept, in the order of the file.

use std::cell::RefCell;

use encoding_rs::Encoding;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use super::text;
use crate::source::Source;
use crate::{Document, Result};

/// How much of a page is searched for the name of its encoding, in bytes (HTML standard, 4.2.5.4).
const PRESCAN_BYTES: usize = 1024;

pub(crate) fn load(source: &Source<'_>) -> Result<Vec<Document>> {
    let html = text::decode(source, declared_encoding(source.bytes))?;
    let page = read(&html);
    if page.text.trim().is_empty() {
        return Err(source.empty("there is no readable text in it"));
    }
    let mut document = source.document(page.text.trim().to_owned(), []);
    let title = collapse(&page.title);
    if !title.is_empty() {
        document.metadata.insert("title".to_owned(), title.into());
    }
    Ok(vec![document])
}

fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The encoding that a `charset=` near the top names.
fn declared_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes[..bytes.len().min(PRESCAN_BYTES)].to_ascii_lowercase();
    let key = b"charset=";
    let at = head.windows(key.len()).position(|window| window == key)? + key.len();
    let label = head[at..].trim_ascii_start();
    let label = label
        .strip_prefix(b"\"")
        .or_else(|| label.strip_prefix(b"'"))
        .unwrap_or(label);
    let end = label
        .iter()
        .position(|byte| b"\"'; />\t\r\n".contains(byte))
        .unwrap_or(label.len());
    Encoding::for_label(&label[..end])
}

fn read(html: &str) -> Page {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(html));
    let tokenizer = Tokenizer::new(Reader::default(), TokenizerOpts::default());
    // It returns early only for scripts that the sink reports, which this one does not.
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.into_inner()
}

/// Takes the tokens. The trait wants a shared reference, hence the cell.
#[derive(Default)]
struct Reader(RefCell<Page>);

impl TokenSink for Reader {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut page = self.0.borrow_mut();
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => page.open(&tag),
            Token::TagToken(tag) => page.close(&tag),
            Token::CharacterTokens(text) => page.characters(&text),
            _ => TokenSinkResult::Continue,
        }
    }
}

/// Where the characters that come belong.
#[derive(Default, PartialEq)]
enum Place {
    #[default]
    Text,
    Title,
    /// A script or a style.
    Nowhere,
}

/// What has been read so far.
#[derive(Default)]
struct Page {
    text: String,
    title: String,
    place: Place,
    /// How many `pre` are open: white space counts there.
    pre: usize,
    /// Line breaks due before the next text.
    breaks: usize,
    /// Whether white space is due before the next text.
    space: bool,
    /// Whether the row of a table has a cell already.
    in_row: bool,
}

impl Page {
    fn open(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name = tag.name.as_ref();
        self.breaks = self.breaks.max(breaks_around(name));
        match name {
            "script" => return self.raw(Place::Nowhere, RawKind::ScriptData),
            "style" | "iframe" | "noembed" | "noframes" => {
                return self.raw(Place::Nowhere, RawKind::Rawtext);
            }
            "title" if self.title.is_empty() => return self.raw(Place::Title, RawKind::Rcdata),
            "textarea" | "title" => return self.raw(Place::Text, RawKind::Rcdata),
            "pre" => self.pre += 1,
            "li" => self.mark("- "),
            "tr" => self.in_row = false,
            "td" | "th" if self.in_row => self.mark(" | "),
            "td" | "th" => self.in_row = true,
            _ => {}
        }
        TokenSinkResult::Continue
    }

    fn close(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name = tag.name.as_ref();
        self.breaks = self.breaks.max(breaks_around(name));
        match name {
            "pre" => self.pre = self.pre.saturating_sub(1),
            "script" | "style" | "iframe" | "noembed" | "noframes" | "title" => {
                self.place = Place::Text;
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }

    /// Has the tokenizer take everything up to the closing tag as characters.
    fn raw(&mut self, place: Place, kind: RawKind) -> TokenSinkResult<()> {
        self.place = place;
        TokenSinkResult::RawData(kind)
    }

    fn characters(&mut self, text: &str) -> TokenSinkResult<()> {
        match self.place {
            Place::Nowhere => {}
            Place::Title => self.title.push_str(text),
            Place::Text if self.pre > 0 => {
                self.catch_up();
                self.text.push_str(text);
            }
            Place::Text => self.flow(text),
        }
        TokenSinkResult::Continue
    }

    /// Adds text in which white space only separates words. The space between words may be at the
    /// end of one token and the word in the next.
    fn flow(&mut self, text: &str) {
        for part in text.split_inclusive(|character: char| character.is_ascii_whitespace()) {
            let word = part.trim_end_matches(|character: char| character.is_ascii_whitespace());
            if !word.is_empty() {
                self.catch_up();
                self.text.push_str(word);
            }
            self.space |= word.len() < part.len();
        }
    }

    /// Adds the sign of a list item or of a cell.
    fn mark(&mut self, sign: &str) {
        self.space = false;
        self.catch_up();
        self.text.push_str(sign);
    }

    /// Writes the line breaks or the space that are due.
    fn catch_up(&mut self) {
        let (breaks, space) = (
            std::mem::take(&mut self.breaks),
            std::mem::take(&mut self.space),
        );
        if self.text.is_empty() {
            return;
        }
        let after_space = self
            .text
            .ends_with(|character: char| character.is_whitespace());
        match (breaks, space) {
            (0, true) if !after_space => self.text.push(' '),
            (0, _) => {}
            (breaks, _) => self.text.extend(std::iter::repeat_n('\n', breaks)),
        }
    }
}

/// How many line breaks stand before and after an element: two around what is a paragraph of its
/// own, one around what only starts a line.
fn breaks_around(name: &str) -> usize {
    match name {
        "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "ul" | "ol" | "dl" | "table" | "pre"
        | "blockquote" | "article" | "section" | "figure" | "hr" | "form" | "fieldset"
        | "details" => 2,
        "div" | "li" | "dt" | "dd" | "tr" | "br" | "caption" | "figcaption" | "address"
        | "header" | "footer" | "main" | "nav" | "aside" | "body" | "option" | "summary"
        | "legend" | "title" | "textarea" => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_break_lines_and_scripts_vanish() {
        let page = read(
            "<title>A &amp;  B</title><style>p{}</style><h1>Head</h1><p>One\n  two<b>three</b> \
             four<script>if (a<b) {}</script><br>five<ul><li>x<li>y</ul>",
        );
        assert_eq!(page.title, "A &  B");
        assert_eq!(
            page.text,
            "Head\n\nOne two three four\nfive\n\n- x\n- y".replace("two three", "twothree")
        );
    }

    #[test]
    fn rows_stand_on_one_line_and_pre_keeps_its_space() {
        let page =
            read("<table><tr><th>a<th>b</tr><tr><td>1</td><td>2</td></table><pre>x\n  y</pre>");
        assert_eq!(page.text, "a | b\n1 | 2\n\nx\n  y");
    }

    #[test]
    fn an_encoding_is_found_in_either_form() {
        let of = |html: &str| declared_encoding(html.as_bytes()).map(Encoding::name);
        assert_eq!(of("<meta charset=\"KOI8-R\">"), Some("KOI8-R"));
        assert_eq!(
            of("<meta content='text/html; charset=shift_jis'>"),
            Some("Shift_JIS")
        );
        assert_eq!(of("<p>charset"), None);
    }
}
