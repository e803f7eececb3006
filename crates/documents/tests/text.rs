//! Text, Markdown, CSV, HTML and JSON: what loads, and what is refused.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail too")]

mod common;

use common::{error, load, text};
use longtrainer_documents::{Error, LoadOptions, load_json_bytes};
use serde_json::json;

fn jq(content: &str, expression: &str) -> Result<Vec<String>, Error> {
    let options = LoadOptions::default();
    let documents = load_json_bytes("a.json", content.as_bytes(), expression, &options)?;
    Ok(documents
        .into_iter()
        .map(|document| document.page_content)
        .collect())
}

fn pages(name: &str, content: &str) -> Vec<String> {
    let documents = load(name, content.as_bytes()).unwrap();
    documents
        .into_iter()
        .map(|document| document.page_content)
        .collect()
}

#[test]
fn text_stays_as_it_is() {
    let content = "# Head\r\n\r\n*  two   spaces*\tand a tab \n";
    for name in [
        "a.md",
        "a.MARKDOWN",
        "a.txt",
        "a.text",
        "a.rs",
        "a.toml",
        "LICENSE",
    ] {
        let documents = load(name, content.as_bytes()).unwrap();
        assert_eq!(documents[0].page_content, content);
        assert_eq!(json!(documents[0].metadata), json!({ "source": name }));
    }
}

#[test]
fn old_and_wide_encodings_are_read() {
    assert_eq!(text("a.txt", b"\xef\xbb\xbfna\xc3\xafve"), "naïve");
    assert_eq!(text("a.txt", b"na\xefve \x80 5"), "naïve € 5");
    assert_eq!(text("a.txt", b"\xff\xfeh\0i\0\xac\x20"), "hi€");
    assert_eq!(text("a.txt", b"\xfe\xff\0h\0i\x20\xac"), "hi€");
}

#[test]
fn a_broken_wide_encoding_is_refused() {
    let error = error("a.txt", b"\xff\xfeh\0i\0\x00\xd8");
    assert!(error.to_string().contains("UTF-16LE"), "{error}");
}

#[test]
fn binary_content_is_no_text() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01";
    for name in ["a.txt", "a.md", "a.csv", "a.html", "a.json", "a.jsonl"] {
        let error = error(name, png);
        assert!(
            matches!(
                error,
                Error::NotThisFormat {
                    found: Some("image/png"),
                    ..
                }
            ),
            "{name}: {error}"
        );
    }
    let error = error("a.txt", b"%PDF-1.4\n1 0 obj\n<< >>\nendobj\n");
    assert_eq!(
        error.to_string(),
        "a.txt is not text; it seems to be application/pdf"
    );
}

#[test]
fn an_unknown_binary_file_is_unsupported() {
    let error = error("a.bin", b"\x01\x02\x03\0\x04\x05");
    assert!(matches!(error, Error::UnsupportedFormat { .. }));
    assert!(error.to_string().contains("pdf, docx, csv"), "{error}");
}

#[test]
fn nothing_is_empty() {
    for name in [
        "a.txt", "a.pdf", "a.docx", "a.csv", "a.html", "a.json", "a.jsonl", "a.xyz",
    ] {
        assert!(matches!(error(name, b""), Error::Empty { .. }), "{name}");
    }
    for name in ["a.txt", "a.csv", "a.html", "a.json", "a.jsonl"] {
        assert!(
            matches!(error(name, b" \n\t\n"), Error::Empty { .. }),
            "{name}"
        );
    }
}

#[test]
fn csv_makes_a_document_a_row() {
    let documents = load(
        "a.csv",
        b"name, age\nAnn,\"4\n2\"\n\"B, C\", 7 \n,\nD,\"say \"\"hi\"\"\"\n",
    )
    .unwrap();
    let found: Vec<_> = documents
        .iter()
        .map(|document| {
            (
                document.page_content.as_str(),
                document.metadata["row"].clone(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("name: Ann\nage: 4\n2", json!(0)),
            ("name: B, C\nage: 7", json!(1)),
            ("name: D\nage: say \"hi\"", json!(3)),
        ]
    );
}

#[test]
fn csv_columns_without_a_name_of_their_own_get_their_number() {
    assert_eq!(
        pages("a.csv", "x,,x\n1,2,3\n"),
        ["x: 1\ncolumn 2: 2\nx (column 3): 3"]
    );
}

#[test]
fn csv_separators_are_recognised() {
    assert_eq!(pages("a.csv", "a;b\n1,5;2\n"), ["a: 1,5\nb: 2"]);
    assert_eq!(pages("a.csv", "a\tb\n1\t2\n"), ["a: 1\nb: 2"]);
    assert_eq!(pages("a.tsv", "a, or\tb\n1\t2\n"), ["a, or: 1\nb: 2"]);
    assert_eq!(pages("a.csv", "a\n1\n"), ["a: 1"]);
}

#[test]
fn a_ragged_row_is_named() {
    let error = error("a.csv", b"a,b\n\"1\n\",2\n3,4,5\n6,7\n");
    assert!(
        matches!(
            error,
            Error::RaggedRow {
                line: 4,
                columns: 3,
                expected: 2,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn an_open_quote_is_refused() {
    let error = error("a.csv", b"a,b\n1,2\n3,\"4\n5,6\n");
    assert!(
        error.to_string().contains("row at line 3 is never closed"),
        "{error}"
    );
}

#[test]
fn a_header_alone_is_empty() {
    assert!(matches!(error("a.csv", b"a,b\n"), Error::Empty { .. }));
}

#[test]
fn html_gives_its_text_and_title() {
    let html = b"<!doctype html><html><head><title>Tide &amp; time</title><style>b{}</style></head>\
        <body><script>var a = '<p>no</p>';</script><h1>Tides</h1><p>High at <b>6</b>.</body></html>";
    let documents = load("a.html", html).unwrap();
    assert_eq!(documents[0].page_content, "Tides\n\nHigh at 6.");
    assert_eq!(
        json!(documents[0].metadata),
        json!({ "source": "a.html", "title": "Tide & time" })
    );
}

#[test]
fn html_in_a_declared_encoding_is_read() {
    let mut html = b"<meta charset=koi8-r><p>".to_vec();
    html.extend(encoding_rs::KOI8_R.encode("Привет").0.as_ref());
    assert_eq!(text("a.htm", &html), "Привет");
}

#[test]
fn html_without_text_is_empty() {
    let error = error("a.html", b"<html><script>alert(1)</script></html>");
    assert!(matches!(error, Error::Empty { .. }));
}

#[test]
fn html_nested_without_end_neither_overflows_nor_hangs() {
    let html = format!("{}deep", "<div><b>".repeat(500_000));
    assert_eq!(text("a.html", html.as_bytes()), "deep");
}

#[test]
fn json_is_one_compact_document() {
    let documents = load(
        "a.json",
        b"{ \"b\": [1, 2.50, 12345678901234567890123], \"a\": \"x\" }",
    )
    .unwrap();
    assert_eq!(
        documents[0].page_content,
        r#"{"b":[1,2.50,12345678901234567890123],"a":"x"}"#
    );
    assert_eq!(
        json!(documents[0].metadata),
        json!({ "source": "a.json", "seq_num": 1 })
    );
}

#[test]
fn json_lines_are_a_document_each() {
    let documents = load("a.jsonl", b"{\"a\": 1}\r\n\n\"two\"\nnull\n[3]").unwrap();
    let found: Vec<_> = documents
        .iter()
        .map(|document| {
            (
                document.page_content.as_str(),
                document.metadata["seq_num"].clone(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (r#"{"a":1}"#, json!(1)),
            ("two", json!(3)),
            ("[3]", json!(5))
        ]
    );
    let error = error("a.ndjson", b"{\"a\": 1}\n{\"a\": \n");
    assert!(error.to_string().contains("line 2"), "{error}");
}

#[test]
fn a_jq_expression_picks_documents() {
    let content = r#"{"posts": [{"text": "one", "n": 1}, {"text": "two"}, {"text": null}]}"#;
    assert_eq!(jq(content, ".posts[].text").unwrap(), ["one", "two"]);
    assert_eq!(
        jq(content, ".posts[] | select(.n)").unwrap(),
        [r#"{"text":"one","n":1}"#]
    );
    assert!(matches!(jq(content, ".nothing"), Err(Error::Empty { .. })));
}

#[test]
fn a_bad_jq_expression_is_explained() {
    for (expression, reason) in [
        (".posts[", "["),
        (".a |", "the end"),
        ("nonsense(.)", "nonsense"),
        ("$undefined", "$undefined"),
    ] {
        let error = jq("{}", expression).unwrap_err();
        assert!(matches!(error, Error::BadJqExpression { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
    let error = jq("[1]", ".a").unwrap_err();
    assert!(matches!(error, Error::JqFailed { .. }), "{error}");
}

#[test]
fn a_jq_expression_cannot_reach_outside() {
    for expression in [
        "env",
        "halt",
        "halt_error",
        "halt(1)",
        "stderr",
        "$ENV",
        "input",
    ] {
        let error = jq("{}", expression).unwrap_err();
        assert!(
            matches!(error, Error::BadJqExpression { .. }),
            "{expression}: {error}"
        );
    }
}

#[test]
fn a_jq_expression_without_end_is_stopped() {
    let small = LoadOptions {
        max_text_bytes: 1000,
        ..LoadOptions::default()
    };
    let error = load_json_bytes("a.json", b"1", "repeat(.)", &small).unwrap_err();
    assert!(matches!(error, Error::TooMuchText { .. }), "{error}");
    let quick = LoadOptions {
        max_time: std::time::Duration::from_millis(50),
        ..LoadOptions::default()
    };
    let error = load_json_bytes("a.json", b"1", "last(range(1000000000))", &quick).unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
}

#[test]
fn json_that_is_not_json_is_refused() {
    for content in ["{\"a\": ", "{'a': 1}", "[1,]", "1 2", "[1] # note", "NaN"] {
        let error = error("a.json", content.as_bytes());
        assert!(error.to_string().contains("line 1"), "{error}");
    }
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let error = error("a.json", deep.as_bytes());
    assert!(
        error.to_string().contains("nests 100000 levels deep"),
        "{error}"
    );
    let brackets_in_text = format!("[{:?}, \"\\\"[[\"]", "[".repeat(1000));
    assert!(load("a.json", brackets_in_text.as_bytes()).is_ok());
}

#[test]
fn limits_hold_for_bytes_too() {
    let options = LoadOptions {
        max_file_bytes: 10,
        ..LoadOptions::default()
    };
    let error = longtrainer_documents::load_bytes("a.txt", b"eleven char", &options).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                bytes: 11,
                limit: 10,
                ..
            }
        ),
        "{error}"
    );
}
