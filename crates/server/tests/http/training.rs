//! Training on chats.

use serde_json::json;

use crate::fakes::Behaviour;
use crate::server::TestServer;

#[test]
fn complete_turns_become_documents_once() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    let bot = ask.split('/').nth(2).unwrap().to_owned();
    server.behave(Behaviour::Say("Ingrid, since 1982.".to_owned()));
    server
        .post(
            &ask,
            &json!({"query": "Who keeps the lighthouse, and since when?"}),
        )
        .ok();

    let train = format!("/bots/{bot}/train-chats");
    let trained = server.post_nothing(&train).ok();
    assert_eq!(trained["message"], "Trainer updated with new chat history.");
    assert_eq!(trained["turns"], 1);
    let csv = std::fs::read_to_string(trained["csv_path"].as_str().unwrap()).unwrap();
    assert!(csv.starts_with("Question,Answer\n"), "{csv}");
    assert_eq!(server.turns(&chat)[0]["trained"], true);

    let query = json!({"query": "since when? 1982"});
    let found = server
        .post(&format!("/bots/{bot}/vectorstore"), &query)
        .ok();
    assert!(
        found.to_string().contains("Answer: Ingrid, since 1982."),
        "{found}"
    );
    let again = server.post_nothing(&train).ok();
    assert_eq!(again["message"], "No new chats found for training.");
    assert_eq!(
        (&again["csv_path"], &again["turns"]),
        (&json!(null), &json!(0))
    );
}
