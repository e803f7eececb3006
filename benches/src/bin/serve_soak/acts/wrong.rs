//! Requests that must be refused.

use hyper::Method;
use longtrainer_benches::Asked;
use rand::Rng;
use serde_json::json;

use super::Acted;
use crate::tally::Ending;
use crate::visitor::Visitor;

const NOBODY: &str = "bot-00000000-0000-4000-8000-000000000000";

/// Asks for something that cannot be had; the status must say why not.
pub(super) async fn ask(visitor: &mut Visitor) -> Acted {
    let Some(bot) = visitor.any_bot() else {
        return Ok(Ending::Idle);
    };
    let chats = format!("/bots/{bot}/chats");
    let json = "application/json";
    let cases: [(Asked, &[u16]); 10] = [
        (Asked::get(format!("/bots/{NOBODY}")), &[404]),
        (Asked::get("/no/such/route"), &[404]),
        (
            Asked::new(Method::POST, "/bots").body(json, "{\"bot"),
            &[422],
        ),
        (Asked::post("/bots", &json!({"colour": "red"})), &[422]),
        (
            Asked::post(format!("{chats}/chat-nonsense"), &json!({"query": "?"})),
            &[400, 404, 422],
        ),
        (
            Asked::post(
                format!("/bots/{bot}/documents/path"),
                &json!({"path": "/etc/passwd"}),
            ),
            &[403],
        ),
        (
            Asked::post("/v1/embeddings", &json!({"model": "nobody", "input": "a"})),
            &[404],
        ),
        (
            Asked::new(Method::POST, chats).body(json, vec![b' '; 3 << 20]),
            &[413],
        ),
        (
            Asked::new(Method::POST, format!("/bots/{bot}/documents/upload"))
                .body("multipart/form-data; boundary=XX", "--XX\r\nno end"),
            &[400, 422],
        ),
        (Asked::new(Method::DELETE, "/jobs/nobody"), &[400, 404]),
    ];
    let (asked, statuses) = &cases[visitor.random.random_range(0..cases.len())];
    visitor.ask(asked, statuses).await?;
    Ok(Ending::Refused)
}
