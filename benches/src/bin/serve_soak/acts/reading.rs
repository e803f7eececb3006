//! What changes nothing: searches, lists, exports.

use longtrainer_benches::Asked;
use rand::Rng;
use serde_json::json;

use super::Acted;
use crate::ledger::ChatKind;
use crate::tally::Ending;
use crate::trouble::Trouble;
use crate::visitor::Visitor;

/// Searches a bot's documents.
pub(super) async fn search(visitor: &mut Visitor) -> Acted {
    let Some(bot) = visitor.any_bot() else {
        return Ok(Ending::Idle);
    };
    let query = visitor.words(15);
    let asked = Asked::post(format!("/bots/{bot}/vectorstore"), &json!({"query": query}));
    let found = visitor.get_done(&asked).await?;
    match found["documents"].is_array() {
        true => Ok(Ending::Done),
        false => Err(Trouble::lacks(
            &asked.name(),
            "documents",
            &found.to_string(),
        )),
    }
}

/// Reads any of what can be read.
pub(super) async fn read(visitor: &mut Visitor) -> Acted {
    let Some((bot, chat)) = visitor.any_chat(ChatKind::Text) else {
        return Ok(Ending::Idle);
    };
    let paths = [
        format!("/bots/{bot}"),
        format!("/bots/{bot}/documents"),
        format!("/bots/{bot}/jobs"),
        format!("/bots/{bot}/chats?order=recent&limit=3"),
        format!("/bots/{bot}/chats/search?q=word"),
        format!("/bots/{bot}/chats/export?format=jsonl"),
        format!("/chats/{chat}"),
        format!("/chats/{chat}/export?format=markdown"),
        "/bots".to_owned(),
        "/jobs".to_owned(),
        "/models".to_owned(),
        "/v1/models".to_owned(),
        "/openapi.json".to_owned(),
        "/ready".to_owned(),
    ];
    let path = &paths[visitor.random.random_range(0..paths.len())];
    visitor.ask(&Asked::get(path), &[200]).await?;
    Ok(Ending::Done)
}
