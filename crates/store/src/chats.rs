//! Chats of both kinds: their records and their order by bot, kind and creation.

use jiff::Timestamp;
use redb::ReadableTable;

use crate::bots;
use crate::documents::all_of;
use crate::error::{Error, Failure, Result};
use crate::ids;
use crate::records::{ChatKind, ChatRecord};
use crate::tables::{CHATS, CHATS_BY_BOT, Nanoseconds, TURNS, VISION_TURNS};
use crate::transaction::{ReadTransaction, Records, WriteTransaction};
use crate::{pictures, training};

/// The open table of chats.
type Chats<H> = Records<H, &'static str, ChatRecord>;

pub(crate) fn create(txn: &WriteTransaction, chat: &ChatRecord) -> Result<(), Failure> {
    ids::check("chat", &chat.chat_id)?;
    bots::get_for_change(txn, &chat.bot_id)?;
    if txn.records(CHATS)?.get(&chat.chat_id)?.is_some() {
        return Err(Failure::Store(Error::AlreadyExists {
            kind: "chat",
            id: chat.chat_id.clone(),
        }));
    }
    let empty = ChatRecord {
        turns: 0,
        ..chat.clone()
    };
    replace(txn, &empty)?;
    txn.index(CHATS_BY_BOT)?.insert(order_key(chat), ())?;
    Ok(())
}

/// The record of a chat, which must exist.
pub(crate) fn find<H>(chats: &Chats<H>, chat_id: &str) -> Result<ChatRecord, Failure>
where
    H: ReadableTable<&'static str, &'static [u8]>,
{
    chats.get(chat_id)?.ok_or_else(|| {
        Failure::Store(Error::ChatNotFound {
            chat_id: chat_id.to_owned(),
        })
    })
}

pub(crate) fn get(txn: &ReadTransaction, chat_id: &str) -> Result<ChatRecord, Failure> {
    find(&txn.records(CHATS)?, chat_id)
}

/// The record of a chat that is about to be changed.
pub(crate) fn get_for_change(txn: &WriteTransaction, chat_id: &str) -> Result<ChatRecord, Failure> {
    find(&txn.records(CHATS)?, chat_id)
}

/// Stores the changed record of a chat.
pub(crate) fn replace(txn: &WriteTransaction, chat: &ChatRecord) -> Result<(), Failure> {
    txn.records(CHATS)?.insert(&chat.chat_id, chat)
}

/// Fails if the chat is not of the kind that the call works on.
pub(crate) fn require_kind(chat: &ChatRecord, expected: ChatKind) -> Result<()> {
    if chat.kind == expected {
        return Ok(());
    }
    Err(Error::WrongChatKind {
        chat_id: chat.chat_id.clone(),
        expected,
        found: chat.kind,
    })
}

pub(crate) fn list(
    txn: &ReadTransaction,
    bot_id: &str,
    kind: ChatKind,
) -> Result<Vec<ChatRecord>, Failure> {
    bots::get(txn, bot_id)?;
    let chats = txn.records(CHATS)?;
    let kind = kind_key(kind);
    let first = (bot_id, kind, Nanoseconds::MIN, "");
    let end = (bot_id, kind + 1, Nanoseconds::MIN, "");
    let order = txn.index(CHATS_BY_BOT)?;
    order
        .range::<(&str, u8, Nanoseconds, &str)>(first..end)?
        .map(|entry| find(&chats, entry?.0.value().3))
        .collect()
}

pub(crate) fn rename(
    txn: &WriteTransaction,
    chat_id: &str,
    title: Option<&str>,
) -> Result<ChatRecord, Failure> {
    let mut chat = get_for_change(txn, chat_id)?;
    chat.title = title.map(str::to_owned);
    chat.updated_at = Timestamp::now();
    replace(txn, &chat)?;
    Ok(chat)
}

pub(crate) fn delete(txn: &WriteTransaction, chat_id: &str) -> Result<(), Failure> {
    let chat = get_for_change(txn, chat_id)?;
    training::forget_chat(txn, &chat)?;
    txn.index(CHATS_BY_BOT)?.remove(order_key(&chat))?;
    remove_with_turns(txn, &chat.bot_id, chat_id)
}

/// Removes every chat of a bot, but not its untrained turns.
pub(crate) fn remove_all(txn: &WriteTransaction, bot_id: &str) -> Result<(), Failure> {
    let mut chat_ids = Vec::new();
    let first = (bot_id, u8::MIN, Nanoseconds::MIN, "");
    let end = (bot_id, u8::MAX, Nanoseconds::MIN, "");
    txn.index(CHATS_BY_BOT)?
        .retain_in::<(&str, u8, Nanoseconds, &str), _>(first..end, |key, ()| {
            chat_ids.push(key.3.to_owned());
            false
        })?;
    for chat_id in &chat_ids {
        remove_with_turns(txn, bot_id, chat_id)?;
    }
    Ok(())
}

fn remove_with_turns(txn: &WriteTransaction, bot_id: &str, chat_id: &str) -> Result<(), Failure> {
    pictures::forget_chat(txn, bot_id, chat_id)?;
    txn.records(TURNS)?.remove_range(all_of(chat_id))?;
    txn.records(VISION_TURNS)?.remove_range(all_of(chat_id))?;
    txn.records(CHATS)?.remove(chat_id)?;
    Ok(())
}

fn order_key(chat: &ChatRecord) -> (&str, u8, Nanoseconds, &str) {
    (
        &chat.bot_id,
        kind_key(chat.kind),
        chat.created_at.as_nanosecond(),
        &chat.chat_id,
    )
}

fn kind_key(kind: ChatKind) -> u8 {
    match kind {
        ChatKind::Text => 0,
        ChatKind::Vision => 1,
    }
}
