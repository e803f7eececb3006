//! Questions about a picture.

use longtrainer_benches::Asked;
use rand::Rng;
use serde_json::json;

use super::Acted;
use super::chats::leave_midway;
use crate::ledger::ChatKind;
use crate::tally::Ending;
use crate::visitor::{Visitor, text_of};

/// What the demo model can be asked.
const QUESTIONS: [&str; 4] = [
    "what color is the circle?",
    "what is the red shape?",
    "is there a circle?",
    "is a triangle present?",
];

/// A bot, its chat, and a question that nobody asked before.
fn question(visitor: &mut Visitor) -> Option<(String, String, String)> {
    let (bot, chat) = visitor.any_chat(ChatKind::Vision)?;
    let asked = QUESTIONS[visitor.random.random_range(0..QUESTIONS.len())];
    let name = visitor.name();
    Some((bot, chat, format!("{name}: {asked}")))
}

/// The question with the picture, or about those of the chat.
fn asked(visitor: &mut Visitor, bot: &str, chat: &str, question: &str) -> Asked {
    let known = visitor
        .ledger()
        .bots
        .get(bot)
        .and_then(|bot| bot.chats.get(chat))
        .is_some_and(|chat| !chat.turns.is_empty());
    let pictures = match known && visitor.random.random_bool(0.5) {
        true => Vec::new(),
        false => vec![visitor.soak.picture.clone()],
    };
    let body = json!({"query": question, "image_paths": pictures});
    Asked::post(format!("/bots/{bot}/vision-chats/{chat}"), &body)
}

/// Asks about a picture.
pub(super) async fn look(visitor: &mut Visitor) -> Acted {
    let Some((bot, chat, question)) = question(visitor) else {
        return Ok(Ending::Idle);
    };
    let asked = asked(visitor, &bot, &chat, &question);
    let answer = visitor.get_done(&asked).await?;
    let answer = text_of(&asked, &answer, "response")?;
    visitor
        .ledger()
        .of_chat(&bot, &chat, |chat| chat.turns.push((question, answer)));
    Ok(Ending::Done)
}

/// Leaves while it is looked at, or while the answer comes.
pub(super) async fn leave(visitor: &mut Visitor) -> Acted {
    let Some((bot, chat, question)) = question(visitor) else {
        return Ok(Ending::Idle);
    };
    let asked = asked(visitor, &bot, &chat, &question).events();
    leave_midway(visitor, &asked).await
}
