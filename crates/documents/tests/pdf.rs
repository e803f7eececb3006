//! PDF: real files, locked files, and files made to hurt.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail too")]

mod common;

use std::time::{Duration, Instant};

use common::{bytes, chain, error, load};
use longtrainer_documents::{Error, LoadOptions, load_bytes, load_path};

/// A PDF of numbered objects, with a correct table of their places.
fn pdf(objects: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let mut file = b"%PDF-1.7\n".to_vec();
    let last = objects.iter().map(|(number, _)| *number).max().unwrap();
    let mut places = vec![None; last + 1];
    for (number, body) in objects {
        places[*number] = Some(file.len());
        file.extend(format!("{number} 0 obj\n").bytes());
        file.extend(body);
        file.extend(b"\nendobj\n");
    }
    let table = file.len();
    file.extend(format!("xref\n0 {}\n0000000000 65535 f \n", last + 1).bytes());
    for place in &places[1..] {
        let line = match place {
            Some(place) => format!("{place:010} 00000 n \n"),
            None => "0000000000 00000 f \n".to_owned(),
        };
        file.extend(line.bytes());
    }
    let trailer = format!(
        "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n",
        last + 1
    );
    file.extend(trailer.bytes());
    file
}

fn stream(entries: &str, content: &str) -> Vec<u8> {
    let length = content.len();
    format!("<< /Length {length} {entries}>>\nstream\n{content}\nendstream").into_bytes()
}

const HELLO: &str = "BT /F1 24 Tf 72 700 Td (Hello world) Tj ET";

/// The objects of a file with one page that says hello.
fn hello() -> Vec<(usize, Vec<u8>)> {
    let page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R \
                /Resources << /Font << /F1 5 0 R >> /XObject << /X 6 0 R >> >> >>";
    vec![
        (1, b"<< /Type /Catalog /Pages 2 0 R >>".to_vec()),
        (2, b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec()),
        (3, page.into()),
        (4, stream("", HELLO)),
        (
            5,
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_vec(),
        ),
    ]
}

/// The same with one object replaced or added.
fn hello_but(number: usize, body: impl Into<Vec<u8>>) -> Vec<u8> {
    let mut objects = hello();
    objects.retain(|(other, _)| *other != number);
    objects.push((number, body.into()));
    pdf(&objects)
}

/// Loading must come back, whatever it says, and within a time that rules out a hang.
fn comes_back(name: &str, file: &[u8]) -> Result<Vec<String>, Error> {
    let started = Instant::now();
    let result = load(name, file);
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{name} took {:?}",
        started.elapsed()
    );
    result.map(|pages| pages.into_iter().map(|page| page.page_content).collect())
}

#[test]
fn every_page_with_text_is_a_document() {
    let path = common::fixture("three-pages.pdf");
    let documents = load_path(&path, &LoadOptions::default()).unwrap();
    let pages: Vec<_> = documents
        .iter()
        .map(|document| document.metadata["page"].clone())
        .collect();
    assert_eq!(pages, [1, 3]);
    assert_eq!(documents[0].metadata["source"], path.to_str().unwrap());
    let first = &documents[0].page_content;
    let lines: Vec<_> = first
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(
        lines,
        [
            "The first page",
            "It tells of the office where the efficient staff",
            "filed nine affidavits."
        ]
    );
    assert!(
        documents[1]
            .page_content
            .contains("A price of 12.50 € and a naïve café.")
    );
}

#[test]
fn a_lock_against_changes_does_not_matter() {
    for name in ["owner-locked.pdf", "owner-locked-aes.pdf"] {
        let documents = load(name, &bytes(name)).unwrap();
        assert!(
            documents[0].page_content.contains("efficient staff"),
            "{name}: {documents:?}"
        );
    }
}

#[test]
fn a_password_is_asked_for() {
    assert!(matches!(
        error("password.pdf", &bytes("password.pdf")),
        Error::Encrypted { .. }
    ));
}

#[test]
fn a_scan_is_empty_and_says_what_helps() {
    let error = error("scanned.pdf", &bytes("scanned.pdf"));
    assert!(
        matches!(error, Error::Empty { .. }) && error.to_string().contains("OCR"),
        "{error}"
    );
}

#[test]
fn another_file_called_pdf_is_refused() {
    let error = error("a.pdf", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    assert_eq!(
        error.to_string(),
        "a.pdf is not PDF; it seems to be image/png"
    );
}

#[test]
fn a_file_that_was_cut_off_is_malformed_wherever_the_cut_is() {
    let whole = bytes("three-pages.pdf");
    for kept in [9, whole.len() / 4, whole.len() / 2, whole.len() - 10] {
        let error = error("a.pdf", &whole[..kept]);
        assert!(matches!(error, Error::Malformed { .. }), "{kept}: {error}");
        assert!(error.to_string().contains("cut off"), "{error}");
    }
}

#[test]
fn limits_on_pages_and_text_hold() {
    let file = bytes("three-pages.pdf");
    let options = LoadOptions {
        max_pages: 2,
        ..LoadOptions::default()
    };
    let error = load_bytes("a.pdf", &file, &options).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooManyPages {
                pages: 3,
                limit: 2,
                ..
            }
        ),
        "{error}"
    );
    let options = LoadOptions {
        max_text_bytes: 20,
        ..LoadOptions::default()
    };
    let error = load_bytes("a.pdf", &file, &options).unwrap_err();
    assert!(
        matches!(error, Error::TooMuchText { limit: 20, .. }),
        "{error}"
    );
}

#[test]
fn a_plain_file_made_here_loads() {
    assert_eq!(
        comes_back("a.pdf", &pdf(&hello())).unwrap()[0].trim(),
        "Hello world"
    );
}

#[test]
fn a_page_tree_that_goes_in_a_circle_is_refused() {
    let tree = "<< /Type /Pages /Kids [2 0 R 3 0 R] /Count 2 >>";
    let error = error("a.pdf", &hello_but(2, tree));
    assert!(error.to_string().contains("circle"), "{error}");
}

#[test]
fn no_page_is_lost_when_the_file_counts_wrong() {
    for count in ["0", "1", "1000000000", "-3"] {
        let mut objects = hello();
        let tree = format!("<< /Type /Pages /Kids [3 0 R 7 0 R] /Count {count} >>");
        objects[1].1 = tree.into_bytes();
        objects.push((7, objects[2].1.clone()));
        let pages = comes_back("a.pdf", &pdf(&objects)).unwrap();
        assert_eq!(pages.len(), 2, "{count}: {pages:?}");
    }
}

#[test]
fn references_to_themselves_come_back() {
    let objects = [
        (2, "<< /Type /Pages /Kids [3 0 R] /Count 1 /Parent 2 0 R >>"),
        (3, "<< /Type /Page /Parent 3 0 R /Contents 4 0 R >>"),
        (4, "4 0 R"),
        (
            5,
            "<< /Type /Font /Subtype /Type0 /Encoding /Identity-H /DescendantFonts [5 0 R] \
             /ToUnicode 5 0 R >>",
        ),
    ];
    for (number, body) in objects {
        // What is left of such a file may be read or refused.
        let _ = comes_back(body, &hello_but(number, body));
    }
}

#[test]
fn drawings_that_hold_themselves_come_back() {
    let form = "/Type /XObject /Subtype /Form /BBox [0 0 600 800] /Resources << /Font << /F1 5 0 R >> \
                /XObject << /X 6 0 R >> >> ";
    let mut objects = hello();
    objects[3].1 = stream("", &format!("/X Do {HELLO}"));
    objects.push((6, stream(form, &format!("/X Do /X Do {HELLO}"))));
    let pages = comes_back("a.pdf", &pdf(&objects)).unwrap();
    assert!(pages[0].contains("Hello world"), "{pages:?}");
}

#[test]
fn nesting_that_would_overflow_a_stack_is_refused() {
    for (open, close) in [("[", "]"), ("<< /Y ", " >>")] {
        let body = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let error = error("a.pdf", &hello_but(7, body));
        assert!(
            error.to_string().contains("levels deep"),
            "{}",
            chain(&error)
        );
    }
}

#[test]
fn a_deep_page_tree_is_refused() {
    let depth = 20_000;
    let mut objects = vec![(1, b"<< /Type /Catalog /Pages 2 0 R >>".to_vec())];
    for number in 2..depth {
        let (parent, child) = (number - 1, number + 1);
        let body = format!("<< /Type /Pages /Kids [{child} 0 R] /Parent {parent} 0 R /Count 1 >>");
        objects.push((number, body.into()));
    }
    objects.push((depth, b"<< /Type /Page /MediaBox [0 0 612 792] >>".to_vec()));
    let error = error("a.pdf", &pdf(&objects));
    assert!(error.to_string().contains("levels deep"), "{error}");
}

#[test]
fn a_file_damaged_at_any_place_comes_back() {
    let whole = bytes("three-pages.pdf");
    for at in (10..whole.len() - 10).step_by(37) {
        let mut file = whole.clone();
        file[at] ^= 0xff;
        // Most damage is small enough to read on, or hits text; none may panic or hang.
        let _ = comes_back("a.pdf", &file);
    }
}
