//! Bots: made, built, deleted.

use hyper::Method;
use longtrainer_benches::Asked;
use rand::Rng;
use serde_json::json;

use super::{Acted, chats, documents};
use crate::ledger::{Bot, ChatKind};
use crate::tally::Ending;
use crate::visitor::{Visitor, text_of};

/// Bots that a visitor has at most.
const MOST: usize = 2;

/// Makes a bot that can be asked at once.
pub(super) async fn create(visitor: &mut Visitor) -> Acted {
    if visitor.ledger().bots.len() >= MOST {
        return Ok(Ending::Idle);
    }
    let asked = Asked::post("/bots", &json!({}));
    let made = visitor.get_done(&asked).await?;
    let bot = text_of(&asked, &made, "bot_id")?;
    visitor.ledger().bots.insert(bot.clone(), Bot::default());
    documents::upload_to(visitor, &bot).await?;
    build_now(visitor, &bot).await?;
    chats::create_in(visitor, &bot, ChatKind::Text).await?;
    chats::create_in(visitor, &bot, ChatKind::Vision).await
}

/// Makes what was added searchable, waiting for it or as a job.
pub(super) async fn build(visitor: &mut Visitor) -> Acted {
    let Some(bot) = visitor.any_bot() else {
        return Ok(Ending::Idle);
    };
    if visitor.random.random_bool(0.7) {
        return build_now(visitor, &bot).await;
    }
    let asked = Asked::post(format!("/bots/{bot}/build?background=true"), &json!({}));
    let begun = visitor.get_done(&asked).await?;
    let job = text_of(&asked, &begun, "job_id")?;
    visitor.ledger().of_bot(&bot, |bot| bot.begun(job));
    Ok(Ending::Done)
}

async fn build_now(visitor: &mut Visitor, bot: &str) -> Acted {
    let asked = Asked::post(format!("/bots/{bot}/build"), &json!({}));
    visitor.get_done(&asked).await?;
    Ok(Ending::Done)
}

/// Deletes a bot and everything of it.
pub(super) async fn delete(visitor: &mut Visitor) -> Acted {
    if visitor.ledger().bots.len() < MOST {
        return Ok(Ending::Idle);
    }
    let Some(bot) = visitor.any_bot() else {
        return Ok(Ending::Idle);
    };
    visitor.ledger().bots.remove(&bot);
    let asked = Asked::new(Method::DELETE, format!("/bots/{bot}"));
    visitor.get_done(&asked).await?;
    let mut ledger = visitor.ledger();
    ledger.gone_bots.push(bot);
    ledger.count += 1;
    Ok(Ending::Done)
}
