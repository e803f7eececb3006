//! What is lost is found, and nothing else: servers that each forget one thing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use longtrainer_benches::HttpClient;
use serde_json::{Value, json};

use crate::acts::source;
use crate::check::{Checked, check};
use crate::figures::{Sample, growth, sum};
use crate::ledger::{Bot, Chat, ChatKind, Ledger};
use crate::soak::Account;

/// Answers by path and query; everything else is 404.
type Pages = BTreeMap<&'static str, Value>;

/// A server that has kept everything of [`ledger`].
fn pages() -> Pages {
    Pages::from([
        ("/jobs", json!({"jobs": [{"status": "success"}]})),
        ("/jobs/j1", json!({"status": "success"})),
        ("/bots/b1", json!({})),
        (
            "/bots/b1/documents",
            json!({"documents": [{"document_id": 1, "metadata": {"source": "a.txt"}}]}),
        ),
        ("/bots/b1/documents/4", json!({"page_content": "four"})),
        (
            "/bots/b1/chats",
            json!({"chats": [{"chat_id": "c1", "title": "one"}], "vision_chats": []}),
        ),
        (
            "/chats/c1?order=oldest",
            json!({"messages": [{"question": "q", "answer": "a", "status": "complete"}]}),
        ),
        (
            "/vision-chats/v1?order=oldest",
            json!({"messages": [{"question": "q", "response": "r", "status": "complete"}]}),
        ),
    ])
}

fn ledger() -> Ledger {
    let text = Chat {
        title: Some("one".to_owned()),
        turns: vec![("q".to_owned(), "a".to_owned())],
        ..Chat::new(ChatKind::Text)
    };
    let vision = Chat {
        turns: vec![("q".to_owned(), "r".to_owned())],
        ..Chat::new(ChatKind::Vision)
    };
    let bot = Bot {
        files: vec!["a.txt".to_owned()],
        texts: BTreeMap::from([(4, "four".to_owned())]),
        gone_documents: vec![2],
        jobs: vec!["j1".to_owned()],
        chats: BTreeMap::from([("c1".to_owned(), text), ("v1".to_owned(), vision)]),
        gone_chats: vec![(ChatKind::Text, "c2".to_owned())],
    };
    Ledger {
        bots: BTreeMap::from([("b1".to_owned(), bot)]),
        gone_bots: vec!["b2".to_owned()],
        ..Ledger::default()
    }
}

async fn page(State(pages): State<Arc<Pages>>, request: Request) -> Response {
    let path = request.uri().path_and_query().unwrap().as_str();
    match pages.get(path) {
        Some(page) => axum::Json(page.clone()).into_response(),
        None => (StatusCode::NOT_FOUND, "not there").into_response(),
    }
}

/// What a check of a server with these pages finds.
fn checked(pages: Pages) -> Checked {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(page).with_state(Arc::new(pages));
        tokio::spawn(axum::serve(listener, router).into_future());
        let account = Account {
            ledger: Arc::new(Mutex::new(ledger())),
            key: None,
        };
        let checked = check(&mut HttpClient::new(address), &account)
            .await
            .unwrap();
        assert_eq!(
            account.ledger.lock().unwrap().bots.len(),
            1,
            "the ledger is given back"
        );
        checked
    })
}

#[test]
fn a_server_that_has_everything_has_lost_nothing() {
    let checked = checked(pages());
    assert_eq!((checked.lost, checked.things), (0, 12), "{checked:?}");
}

#[test]
fn whatever_is_missing_or_back_is_found() {
    let forgetful: [(&'static str, Option<Value>, &str); 9] = [
        ("/bots/b1", None, "b1"),
        ("/jobs/j1", Some(json!({"status": "failed"})), "job j1"),
        (
            "/bots/b1/documents",
            Some(json!({"documents": []})),
            "a.txt",
        ),
        (
            "/bots/b1/documents/4",
            Some(json!({"page_content": "for"})),
            "text 4",
        ),
        (
            "/chats/c1?order=oldest",
            Some(json!({"messages": [{"question": "q", "answer": "a", "status": "cancelled"}]})),
            "\"q\" was answered",
        ),
        (
            "/vision-chats/v1?order=oldest",
            Some(json!({"messages": []})),
            "\"q\" was answered",
        ),
        (
            "/bots/b1/chats",
            Some(json!({"chats": [{"chat_id": "c1", "title": null}]})),
            "title one",
        ),
        ("/bots/b2", Some(json!({})), "/bots/b2 is back"),
        ("/chats/c2", Some(json!({})), "/chats/c2 is back"),
    ];
    for (path, answer, complaint) in forgetful {
        let mut pages = pages();
        match answer {
            Some(answer) => drop(pages.insert(path, answer)),
            None => drop(pages.remove(path)),
        }
        let checked = checked(pages);
        assert_eq!(checked.lost, 1, "{path}: {checked:?}");
        assert!(checked.complaints[0].contains(complaint), "{checked:?}");
    }
}

#[test]
fn a_document_that_is_back_is_found() {
    let mut pages = pages();
    let documents = json!({"documents": [
        {"document_id": 1, "metadata": {"source": "a.txt"}}, {"document_id": 2, "metadata": {}},
    ]});
    assert_eq!(source(&documents["documents"][0]), "a.txt");
    pages.insert("/bots/b1/documents", documents);
    let checked = checked(pages);
    assert_eq!(checked.complaints, ["document 2 of b1 is back"]);
}

#[test]
fn figures_are_read_from_the_page() {
    let page = "# HELP a b\na 5\na_more 7\nb{x=\"1\"} 2\nb{x=\"2\"} 3.0e0\n";
    assert_eq!((sum(page, "a"), sum(page, "b"), sum(page, "c")), (5, 5, 0));
}

#[test]
fn only_the_last_server_is_judged_and_without_its_cache() {
    let sample = |number: u64, life, grows: u64, cache| Sample {
        seconds: number as f64,
        life,
        resident: (100 << 20) + number * grows + cache,
        cache,
        store: 0,
    };
    let growing: Vec<_> = (0..100).map(|n| sample(n, 1, 2 << 20, 0)).collect();
    assert!(growth(&growing).is_some());
    let flat = (0..100).map(|n| sample(n, 2, 0, n * (4 << 20)));
    let both: Vec<_> = growing.into_iter().chain(flat).collect();
    assert_eq!(growth(&both), None);
}
