//! Text chats: begun, asked in every form, left, renamed, deleted.

use std::time::Duration;

use longtrainer_benches::Asked;
use rand::Rng;
use serde_json::{Value, json};

use super::Acted;
use super::events::Events;
use crate::ledger::{Chat, ChatKind};
use crate::tally::Ending;
use crate::trouble::Trouble;
use crate::visitor::{Visitor, text_of};

/// Chats that a bot has at most.
const MOST: usize = 4;

/// A question, and where it goes.
struct Question {
    bot: String,
    chat: String,
    text: String,
}

impl Question {
    fn draw(visitor: &mut Visitor) -> Option<Self> {
        let (bot, chat) = visitor.any_chat(ChatKind::Text)?;
        let (name, about) = (visitor.name(), visitor.words(12));
        let text = format!("Answer in one word ({name}): what is meant by {about:?}?");
        Some(Self { bot, chat, text })
    }

    fn asked(&self, stream: bool) -> Asked {
        let path = format!("/bots/{}/chats/{}", self.bot, self.chat);
        Asked::post(path, &json!({"query": self.text, "stream": stream}))
    }

    /// The whole answer is here, so the turn is stored.
    fn answered(self, visitor: &Visitor, answer: String) -> Ending {
        let turn = (self.text, answer);
        let mut ledger = visitor.ledger();
        ledger.of_chat(&self.bot, &self.chat, |chat| chat.turns.push(turn));
        Ending::Done
    }
}

/// Asks for a whole answer.
pub(super) async fn ask(visitor: &mut Visitor) -> Acted {
    let Some(question) = Question::draw(visitor) else {
        return Ok(Ending::Idle);
    };
    let asked = question.asked(false);
    let answer = visitor.get_done(&asked).await?;
    let text = text_of(&asked, &answer, "answer")?;
    Ok(question.answered(visitor, text))
}

/// Reads an answer as events to its end, at times slowly.
pub(super) async fn ask_events(visitor: &mut Visitor) -> Acted {
    let Some(question) = Question::draw(visitor) else {
        return Ok(Ending::Idle);
    };
    let asked = question.asked(false).events();
    let pause = visitor.dawdle();
    let mut events = Events::new(visitor.pieces(&asked).await?);
    let mut told = String::new();
    while let Some(event) = events.next(pause).await? {
        let data = serde_json::from_str(&event.data);
        let data: Value = data.map_err(|_| Trouble::lacks(&asked.name(), "JSON", &event.data))?;
        match event.name.as_str() {
            "token" => told += &text_of(&asked, &data, "text")?,
            "done" => {
                let answer = text_of(&asked, &data, "answer")?;
                check_alike(&asked, &answer, &told)?;
                return Ok(question.answered(visitor, answer));
            }
            "error" => return Err(Trouble::lacks(&asked.name(), "answer", &event.data)),
            _ => {}
        }
    }
    Err(ended(&asked))
}

/// Reads an answer as plain text to its end.
pub(super) async fn ask_plain_text(visitor: &mut Visitor) -> Acted {
    let Some(question) = Question::draw(visitor) else {
        return Ok(Ending::Idle);
    };
    let answer = visitor.pieces(&question.asked(true)).await?.rest().await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    Ok(question.answered(visitor, answer))
}

/// Leaves before the answer has begun, or in the middle of it. What becomes of the turn is the server's
/// affair.
pub(super) async fn leave(visitor: &mut Visitor) -> Acted {
    let Some(question) = Question::draw(visitor) else {
        return Ok(Ending::Idle);
    };
    let plain = visitor.random.random_bool(0.3);
    let asked = match plain {
        true => question.asked(true),
        false => question.asked(false).events(),
    };
    leave_midway(visitor, &asked).await
}

/// Reads some pieces of an answer for a while, and closes the connection.
pub(super) async fn leave_midway(visitor: &mut Visitor, asked: &Asked) -> Acted {
    let patience = Duration::from_millis(visitor.random.random_range(1..1500));
    let most = visitor.random.random_range(0..12);
    let reading = async {
        let mut pieces = visitor.pieces(asked).await?;
        for _ in 0..most {
            if pieces.next().await?.is_none() {
                break;
            }
        }
        Ok::<_, Trouble>(())
    };
    let read = tokio::time::timeout(patience, reading).await;
    visitor.client.leave();
    read.unwrap_or(Ok(()))?;
    Ok(Ending::Left)
}

/// Begins a chat of either kind.
pub(super) async fn create(visitor: &mut Visitor) -> Acted {
    let Some(bot) = visitor.any_bot() else {
        return Ok(Ending::Idle);
    };
    let chats = visitor
        .ledger()
        .bots
        .get(&bot)
        .map_or(0, |bot| bot.chats.len());
    if chats >= MOST {
        return Ok(Ending::Idle);
    }
    let kind = match visitor.random.random_bool(0.35) {
        true => ChatKind::Vision,
        false => ChatKind::Text,
    };
    create_in(visitor, &bot, kind).await
}

/// Begins a chat of a bot.
pub(super) async fn create_in(visitor: &mut Visitor, bot: &str, kind: ChatKind) -> Acted {
    let asked = Asked::post(format!("/bots/{bot}/{}", kind.path()), &json!({}));
    let made = visitor.get_done(&asked).await?;
    let chat = text_of(&asked, &made, kind.id_field())?;
    visitor.ledger().of_bot(bot, |bot| {
        bot.chats.insert(chat, Chat::new(kind));
    });
    Ok(Ending::Done)
}

/// Gives a chat a name.
pub(super) async fn rename(visitor: &mut Visitor) -> Acted {
    let kind = any_kind(visitor);
    let Some((bot, chat)) = visitor.any_chat(kind) else {
        return Ok(Ending::Idle);
    };
    let title = visitor.name();
    visitor
        .ledger()
        .of_chat(&bot, &chat, |chat| chat.title = None);
    let path = format!("/{}/{chat}", kind.path());
    let asked = Asked::new(hyper::Method::PATCH, path).json(&json!({"title": title}));
    visitor.get_done(&asked).await?;
    visitor
        .ledger()
        .of_chat(&bot, &chat, |chat| chat.title = Some(title));
    Ok(Ending::Done)
}

/// Deletes a chat.
pub(super) async fn delete(visitor: &mut Visitor) -> Acted {
    let kind = any_kind(visitor);
    let Some((bot, chat)) = visitor.any_chat(kind) else {
        return Ok(Ending::Idle);
    };
    visitor.ledger().of_bot(&bot, |bot| {
        bot.chats.remove(&chat);
    });
    let path = format!("/{}/{chat}", kind.path());
    visitor
        .get_done(&Asked::new(hyper::Method::DELETE, path))
        .await?;
    visitor
        .ledger()
        .of_bot(&bot, |bot| bot.gone_chats.push((kind, chat)));
    Ok(Ending::Done)
}

fn any_kind(visitor: &mut Visitor) -> ChatKind {
    match visitor.random.random_bool(0.3) {
        true => ChatKind::Vision,
        false => ChatKind::Text,
    }
}

fn check_alike(asked: &Asked, answer: &str, told: &str) -> Result<(), Trouble> {
    match answer == told {
        true => Ok(()),
        false => Err(Trouble::Wrong(format!(
            "{}: the pieces are {told:?}, the answer is {answer:?}",
            asked.name()
        ))),
    }
}

/// An answer whose connection ended well, and which did not.
pub(super) fn ended(asked: &Asked) -> Trouble {
    Trouble::Wrong(format!("{}: its events ended without an end", asked.name()))
}
