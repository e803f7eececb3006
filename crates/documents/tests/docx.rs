//! Word documents: one that an ordinary program wrote, and packages made here part by part.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail too")]

mod common;

use std::io::Write;

use common::{bytes, chain, error, text};
use longtrainer_documents::{Error, LoadOptions, load_bytes};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A package of named parts.
fn package(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A document part with `body` in it.
fn part(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:document xmlns:w=\"w\"><w:body>{body}</w:body>\
         </w:document>"
    )
}

fn document(body: &str) -> Vec<u8> {
    package(&[("word/document.xml", &part(body))])
}

#[test]
fn an_ordinary_document_keeps_its_text_in_order() {
    assert_eq!(
        text("report.docx", &bytes("report.docx")),
        "Yearly report\n\nHarbour traffic\nForty ships & two barges came <in> May.\n\
         Month | Ships | Barges\nMay | 40 | 2\nLeft\tright and bold\n\nConfidential"
    );
}

#[test]
fn what_does_not_show_is_left_out() {
    let body = "<w:p><w:pPr><w:tabs><w:tab/></w:tabs></w:pPr><w:r><w:t>kept</w:t></w:r>\
        <w:del><w:r><w:delText>deleted</w:delText></w:r></w:del>\
        <w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom>\
        <w:r><w:instrText>PAGE</w:instrText></w:r><w:ins><w:r><w:t xml:space=\"preserve\"> added\
        </w:t></w:r></w:ins></w:p>";
    assert_eq!(text("a.docx", &document(body)), "kept added");
}

#[test]
fn a_text_box_is_read_once() {
    let in_box = "<w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent>";
    let body = format!(
        "<w:p><w:r><w:t>before</w:t></w:r><w:r><mc:AlternateContent><mc:Choice>{in_box}</mc:Choice>\
         <mc:Fallback>{in_box}</mc:Fallback></mc:AlternateContent></w:r><w:r><w:t> after</w:t></w:r>\
         </w:p>"
    );
    assert_eq!(text("a.docx", &document(&body)), "boxed\nbefore after");
}

#[test]
fn a_table_in_a_cell_stays_in_its_row() {
    let cell = |content: &str| format!("<w:tc>{content}</w:tc>");
    let paragraph = |content: &str| format!("<w:p><w:r><w:t>{content}</w:t></w:r></w:p>");
    let inner = format!(
        "<w:tbl><w:tr>{}{}</w:tr></w:tbl>",
        cell(&paragraph("x")),
        cell(&paragraph("y"))
    );
    let row = format!("<w:tr>{}{}</w:tr>", cell(&paragraph("1")), cell(&inner));
    assert_eq!(
        text("a.docx", &document(&format!("<w:tbl>{row}</w:tbl>"))),
        "1 | x | y"
    );
}

#[test]
fn notes_follow_the_text_with_their_marks() {
    let body = part(
        "<w:p><w:r><w:t>A claim</w:t></w:r><w:r><w:footnoteReference w:id=\"2\"/></w:r></w:p>",
    );
    let notes = "<w:footnotes><w:footnote w:type=\"separator\" w:id=\"0\"><w:p/></w:footnote>\
        <w:footnote w:id=\"2\"><w:p><w:r><w:t>Its source.</w:t></w:r></w:p></w:footnote></w:footnotes>";
    let file = package(&[("word/document.xml", &body), ("word/footnotes.xml", notes)]);
    assert_eq!(text("a.docx", &file), "A claim[2]\n\n[2] Its source.");
}

#[test]
fn the_main_part_may_have_another_name() {
    let relations = "<Relationships><Relationship Id=\"r\" \
        Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" \
        Target=\"/word/document2.xml\"/></Relationships>";
    let body = part("<w:p><w:r><w:t>here &#x41; &amp; there</w:t></w:r></w:p>");
    let file = package(&[("_rels/.rels", relations), ("word/document2.xml", &body)]);
    assert_eq!(text("a.docx", &file), "here A & there");
}

#[test]
fn another_file_called_docx_is_refused() {
    let not_zip = error("a.docx", b"%PDF-1.7\n%%EOF");
    assert!(
        matches!(
            not_zip,
            Error::NotThisFormat {
                found: Some("application/pdf"),
                ..
            }
        ),
        "{not_zip}"
    );
    let zip = error("a.docx", &package(&[("hello.txt", "hello")]));
    assert!(
        matches!(
            zip,
            Error::NotThisFormat {
                found: Some("application/zip"),
                ..
            }
        ),
        "{zip}"
    );
}

#[test]
fn a_document_with_a_password_is_encrypted() {
    let mut file = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    file.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    assert!(matches!(error("a.docx", &file), Error::Encrypted { .. }));
}

#[test]
fn a_document_without_text_is_empty() {
    assert!(matches!(
        error("a.docx", &document("<w:p/>")),
        Error::Empty { .. }
    ));
}

#[test]
fn a_document_that_was_cut_off_is_malformed_wherever_the_cut_is() {
    let whole = bytes("report.docx");
    for kept in [10, whole.len() / 3, whole.len() / 2, whole.len() - 30] {
        let error = error("a.docx", &whole[..kept]);
        assert!(matches!(error, Error::Malformed { .. }), "{kept}: {error}");
    }
}

#[test]
fn a_document_with_damaged_content_is_malformed() {
    let mut flipped = bytes("report.docx");
    let at = flipped
        .windows(17)
        .position(|name| name == b"word/document.xml")
        .unwrap();
    for byte in &mut flipped[at + 60..at + 90] {
        *byte ^= 0x55;
    }
    let damaged = error("a.docx", &flipped);
    assert!(
        damaged.to_string().contains("word/document.xml"),
        "{}",
        chain(&damaged)
    );
    let unclosed = error("a.docx", &document("<w:p><w:r><w:t>text</w:r>"));
    assert!(matches!(unclosed, Error::Malformed { .. }), "{unclosed}");
    let cut = package(&[(
        "word/document.xml",
        "<w:document><w:body><w:p><w:r><w:t>text",
    )]);
    assert!(matches!(error("a.docx", &cut), Error::Malformed { .. }));
}

#[test]
fn a_bomb_does_not_go_off() {
    let bomb = document(&format!(
        "<w:p><w:r><w:t>{}</w:t></w:r></w:p>",
        "a".repeat(20_000_000)
    ));
    assert!(bomb.len() < 100_000);
    let options = LoadOptions {
        max_text_bytes: 1_000_000,
        ..LoadOptions::default()
    };
    let error = load_bytes("a.docx", &bomb, &options).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooMuchText {
                limit: 1_000_000,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn deep_nesting_and_entities_of_its_own_do_no_harm() {
    let depth = 300_000;
    let body = format!(
        "{}<w:p><w:r><w:t>deep</w:t></w:r></w:p>{}",
        "<w:sdt>".repeat(depth),
        "</w:sdt>".repeat(depth)
    );
    assert_eq!(text("a.docx", &document(&body)), "deep");
    let laughs = "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><w:document><w:body><w:p><w:r>\
        <w:t>x&b;y</w:t></w:r></w:p></w:body></w:document>";
    let error = error("a.docx", &package(&[("word/document.xml", laughs)]));
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
}
