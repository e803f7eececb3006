//! Keys: made and revoked by the owner.

use hyper::Method;
use longtrainer_benches::{Asked, HttpClient};
use rand::seq::IteratorRandom;
use serde_json::json;

use super::Acted;
use crate::tally::Ending;
use crate::visitor::{Visitor, text_of};

/// Further keys that a visitor has at most.
const MOST: usize = 3;

/// Has a key made.
pub(super) async fn create(visitor: &mut Visitor) -> Acted {
    let Some(mut owner) = owner(visitor) else {
        return Ok(Ending::Idle);
    };
    if visitor.ledger().keys.len() >= MOST {
        return Ok(Ending::Idle);
    }
    let (name, tenant) = (visitor.name(), visitor.tenant());
    let asked = Asked::post("/keys", &json!({"name": name, "tenant": tenant}));
    let made = owner.get_done(&asked).await?;
    let (id, key) = (
        text_of(&asked, &made, "key_id")?,
        text_of(&asked, &made, "key")?,
    );
    let mut ledger = visitor.ledger();
    ledger.keys.insert(id, key);
    ledger.count += 1;
    Ok(Ending::Done)
}

/// Has a key revoked.
pub(super) async fn revoke(visitor: &mut Visitor) -> Acted {
    let Some(mut owner) = owner(visitor) else {
        return Ok(Ending::Idle);
    };
    let keys: Vec<_> = visitor.ledger().keys.clone().into_iter().collect();
    let Some((id, key)) = keys.into_iter().choose(&mut visitor.random) else {
        return Ok(Ending::Idle);
    };
    visitor.ledger().keys.remove(&id);
    owner
        .get_done(&Asked::new(Method::DELETE, format!("/keys/{id}")))
        .await?;
    let mut ledger = visitor.ledger();
    ledger.revoked.push(key);
    ledger.count += 1;
    Ok(Ending::Done)
}

/// The owner's connection, if there are keys.
fn owner(visitor: &Visitor) -> Option<HttpClient> {
    let key = visitor.soak.owner_key.clone()?;
    Some(HttpClient::new(visitor.client.address()).with_key(Some(key)))
}
