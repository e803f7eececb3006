//! `/metrics` as a scraper reads it.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::fakes::{Behaviour, eventually};
use crate::server::TestServer;

fn page(server: &TestServer) -> String {
    let reply = server.get("/metrics");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(
        reply
            .content_type
            .starts_with("application/openmetrics-text"),
        "{reply:?}"
    );
    reply.body
}

/// The value of a series, by the whole of its name and labels.
fn value(page: &str, series: &str) -> Option<f64> {
    let line = page.lines().find_map(|line| line.strip_prefix(series));
    line?.trim().parse().ok()
}

#[test]
fn requests_are_counted_by_their_route_and_never_by_an_id() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    let json_type = [("Content-Type", "application/json")];
    let question = br#"{"query":"who?"}"#;
    server.post_raw(&ask, &json_type, question).ok();
    server.post_raw(&ask, &json_type, b"{}").refused(422);
    server.get("/nowhere/at/all").refused(404);
    let mut raw = TcpStream::connect(server.address).unwrap();
    write!(
        raw,
        "MADEUP /bots HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    raw.read_to_string(&mut String::new()).unwrap();

    let template = "route=\"/bots/{bot_id}/chats/{chat_id}\"";
    let count = |page: &str, labels: &str| {
        value(
            page,
            &format!("longtrainer_http_requests_total{{{labels}}}"),
        )
    };
    eventually("all are counted", || {
        let page = page(&server);
        count(&page, &format!("method=\"POST\",{template},status=\"200\"")) == Some(1.0)
            && count(&page, &format!("method=\"POST\",{template},status=\"422\"")) == Some(1.0)
            && count(&page, "method=\"GET\",route=\"none\",status=\"404\"") == Some(1.0)
            && count(&page, "method=\"OTHER\",route=\"/bots\",status=\"405\"") == Some(1.0)
    });
    let page = page(&server);
    let of_route = |name: &str| {
        value(
            &page,
            &format!("longtrainer_http_{name}{{method=\"POST\",{template}}}"),
        )
    };
    assert_eq!(of_route("request_duration_seconds_count"), Some(2.0));
    assert_eq!(
        of_route("request_bytes_total"),
        Some((question.len() + 2) as f64)
    );
    assert!(of_route("response_bytes_total").unwrap() > 100.0);
    for id in [ask.split('/').nth(2).unwrap(), &chat, "nowhere", "MADEUP"] {
        assert!(!page.contains(id), "{id}\n{page}");
    }
}

#[test]
fn the_page_is_well_formed() {
    let server = TestServer::start();
    server.chat();
    server.get("/bots").ok();
    let page = page(&server);
    assert!(page.ends_with("# EOF\n"), "{page}");
    let mut seen = HashSet::new();
    let mut typed = HashSet::new();
    for line in page.lines().filter(|line| *line != "# EOF") {
        if let Some(described) = line.strip_prefix("# ") {
            let mut words = described.split(' ');
            let (kind, name) = (words.next().unwrap(), words.next().unwrap());
            assert!(["HELP", "TYPE", "UNIT"].contains(&kind), "{line}");
            assert!(seen.insert(format!("{kind} {name}")), "twice: {line}");
            if kind == "TYPE" {
                typed.insert(name.to_owned());
            }
            continue;
        }
        let (series, number) = line.rsplit_once(' ').unwrap();
        assert!(number.parse::<f64>().is_ok(), "{line}");
        assert!(seen.insert(series.to_owned()), "twice: {line}");
        let name = series.split('{').next().unwrap();
        let family = ["_total", "_bucket", "_sum", "_count", "_info", ""]
            .into_iter()
            .filter_map(|end| name.strip_suffix(end))
            .find(|family| typed.contains(*family));
        assert!(family.is_some(), "not described: {line}");
    }
}

#[test]
fn the_store_the_models_and_the_process_are_told() {
    let server = TestServer::start();
    server.chat();
    server.bot(&[]);
    let page = page(&server);
    for (series, expected) in [
        ("longtrainer_store_readable", 1.0),
        ("longtrainer_store_bots", 2.0),
        ("longtrainer_store_chats", 1.0),
        ("longtrainer_store_documents", 1.0),
        ("longtrainer_models_loaded", 3.0),
        ("longtrainer_http_requests_in_flight", 1.0),
    ] {
        assert_eq!(value(&page, series), Some(expected), "{series}\n{page}");
    }
    for series in [
        "longtrainer_store_file_bytes",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    ] {
        assert!(value(&page, series).unwrap() > 1000.0, "{series}\n{page}");
    }
    assert!(
        page.contains("longtrainer_model_memory_bytes{model=\"scripted\",role=\"text\"}"),
        "{page}"
    );
    // Nobody set a budget.
    assert!(!page.contains("models_memory_budget_bytes"), "{page}");
}

#[test]
fn a_stream_is_in_flight_until_its_client_leaves() {
    let server = TestServer::start();
    let (ask, _) = server.chat();
    server.behave(Behaviour::Ramble);
    let mut stream = server.ask_raw(&ask, "", &json!({"query": "?", "stream": true}));
    stream.read_until("and");
    let in_flight = "longtrainer_http_requests_in_flight";
    assert_eq!(value(&page(&server), in_flight), Some(2.0));
    drop(stream);
    eventually("it is over", || {
        value(&page(&server), in_flight) == Some(1.0)
    });
}
