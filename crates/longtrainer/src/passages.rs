//! How passages stand in a prompt: each under a line that names its source, in an order that depends
//! on nothing but which passages they are.
//!
//! The order is that of the documents and of the places in them, not of the scores: the same
//! passages always make the same text, whose keys and values the engine may still hold, and what
//! belongs together stands together. Neighbours that overlap or touch are joined, so that nothing
//! is said twice.

use serde_json::Value;

use crate::retrieval::RetrievedDocument;

/// A stretch of one document.
struct Stretch<'a> {
    first: &'a RetrievedDocument,
    text: String,
    /// Where it ends in its document, in characters.
    end: usize,
}

impl<'a> Stretch<'a> {
    fn new(passage: &'a RetrievedDocument) -> Self {
        Self {
            first: passage,
            text: passage.page_content.clone(),
            end: end_of(passage),
        }
    }

    /// Takes up a passage that begins within this stretch or right behind it.
    fn take(&mut self, passage: &RetrievedDocument) -> bool {
        if passage.document_id != self.first.document_id
            || !(self.first.start..=self.end).contains(&passage.start)
        {
            return false;
        }
        let known = self.end - passage.start;
        self.text.extend(passage.page_content.chars().skip(known));
        self.end = self.end.max(end_of(passage));
        true
    }
}

/// The passages as a prompt has them, with blank lines between.
pub(crate) fn render(passages: &[RetrievedDocument]) -> String {
    let mut ordered: Vec<_> = passages.iter().collect();
    ordered.sort_by_key(|passage| (passage.document_id, passage.start, passage.chunk_id));
    let mut stretches: Vec<Stretch<'_>> = Vec::new();
    for passage in ordered {
        let is_taken = stretches
            .last_mut()
            .is_some_and(|stretch| stretch.take(passage));
        if !is_taken {
            stretches.push(Stretch::new(passage));
        }
    }
    let texts: Vec<_> = stretches.iter().map(text_of).collect();
    texts.join("\n\n")
}

fn text_of(stretch: &Stretch<'_>) -> String {
    match place_of(stretch.first) {
        Some(place) => format!("[{place}]\n{}", stretch.text),
        None => stretch.text.clone(),
    }
}

fn end_of(passage: &RetrievedDocument) -> usize {
    passage.start + passage.page_content.chars().count()
}

/// `report.pdf, page 3`: the file without its folders, which say nothing to a model, with the page
/// or row that the document's metadata has. `None` for a source without a name.
fn place_of(passage: &RetrievedDocument) -> Option<String> {
    let source = passage.source();
    let name = source
        .rsplit(['/', '\\'])
        .find(|part| !part.trim().is_empty())?;
    // A name is one line here, whatever characters it has.
    let name: Vec<_> = name.split_whitespace().collect();
    let name = name.join(" ");
    let number = |key| passage.metadata.get(key).and_then(Value::as_u64);
    Some(match (number("page"), number("row")) {
        (Some(page), _) => format!("{name}, page {page}"),
        (None, Some(row)) => format!("{name}, row {row}"),
        (None, None) => name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::Metadata;

    fn passage(document_id: u64, chunk_id: u64, start: usize, text: &str) -> RetrievedDocument {
        let mut metadata = Metadata::new();
        metadata.insert(
            "source".to_owned(),
            format!("/home/me/{document_id}.txt").into(),
        );
        RetrievedDocument {
            page_content: text.to_owned(),
            metadata,
            score: 0.5,
            document_id,
            chunk_id,
            start,
        }
    }

    #[test]
    fn the_order_is_that_of_the_documents_whatever_came_first() {
        let (a, b, c) = (
            passage(1, 10, 0, "first"),
            passage(1, 12, 900, "second"),
            passage(2, 11, 0, "third"),
        );
        let expected = "[1.txt]\nfirst\n\n[1.txt]\nsecond\n\n[2.txt]\nthird";
        assert_eq!(render(&[c.clone(), a.clone(), b.clone()]), expected);
        assert_eq!(render(&[b, c, a]), expected);
    }

    #[test]
    fn neighbours_that_overlap_are_joined_and_say_nothing_twice() {
        let passages = [
            passage(1, 2, 7, "café au lait"),
            passage(1, 1, 0, "I like café au"),
        ];
        assert_eq!(render(&passages), "[1.txt]\nI like café au lait");
    }

    #[test]
    fn a_passage_within_another_adds_nothing() {
        let passages = [passage(1, 1, 0, "one two three"), passage(1, 2, 4, "two")];
        assert_eq!(render(&passages), "[1.txt]\none two three");
    }

    #[test]
    fn what_does_not_touch_is_not_joined() {
        let passages = [passage(1, 1, 0, "one"), passage(1, 2, 4, "two")];
        assert_eq!(render(&passages), "[1.txt]\none\n\n[1.txt]\ntwo");
    }

    #[test]
    fn a_page_or_a_row_is_named_and_a_name_stays_on_its_line() {
        let mut page = passage(1, 1, 0, "text");
        page.metadata.insert("page".to_owned(), 6.into());
        page.metadata
            .insert("source".to_owned(), "C:\\my files\\a\n report.pdf".into());
        assert_eq!(render(&[page.clone()]), "[a report.pdf, page 6]\ntext");
        page.metadata.remove("page");
        page.metadata.insert("row".to_owned(), 0.into());
        assert_eq!(render(&[page.clone()]), "[a report.pdf, row 0]\ntext");
        page.metadata.insert("source".to_owned(), "".into());
        assert_eq!(render(&[page]), "text");
    }

    #[test]
    fn no_passages_are_no_text() {
        assert_eq!(render(&[]), "");
    }
}
