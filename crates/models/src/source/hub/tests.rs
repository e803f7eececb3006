use std::net::TcpListener;
use std::time::Instant;

use super::*;
use crate::entry::{FileEntry, Source};
use crate::first_seen::FirstSeen;
use crate::progress::NoProgress;

fn source() -> Source {
    Source::Hub(HubSource {
        repo: "owner/name".to_owned(),
        revision: "main".to_owned(),
        map: Default::default(),
    })
}

#[test]
fn a_hub_that_says_nothing_is_given_up() {
    // Connections are taken by the system's backlog and never answered.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = FileEntry {
        path: "w.bin".to_owned(),
        size: Some(3),
        sha256: Some("0".repeat(64)),
    };
    let source = source();
    let Source::Hub(hub) = &source else {
        unreachable!()
    };
    let mut first_seen = FirstSeen::load(folder.path().join("notes.toml")).unwrap();
    let mut request = Request {
        source: &source,
        files: &[&file],
        folder: folder.path(),
        first_seen: &mut first_seen,
    };
    let fetcher = HubFetcher {
        connect_limit: Duration::from_millis(200),
        ..HubFetcher::new(hub, Some(&endpoint))
    };
    let start = Instant::now();
    let error = fetcher.fetch(&mut request, &mut NoProgress).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5));
    let Error::HubSilent { url, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(url, &format!("{endpoint}/owner/name/resolve/main/w.bin"));
}

#[test]
fn bytes_kept_from_an_earlier_run_are_told_as_such() {
    use hf_hub::api::Progress as _;
    let (events, inbox) = mpsc::channel();
    let mut reporter = Reporter::new(events);
    // The order in which the client calls when it continues at byte 40 of 100.
    reporter.init(100, "w.bin");
    reporter.init(100, "w.bin");
    reporter.update(40);
    reporter.update(60);
    drop(reporter);
    let told: Vec<_> = inbox.iter().collect();
    assert!(matches!(
        told[..],
        [
            Event::Answered,
            Event::Answered,
            Event::Begin {
                total: 100,
                already: 40
            },
            Event::Advance(60)
        ]
    ));
}
