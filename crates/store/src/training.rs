//! Turns that a training run may take, and the run that takes them.
//!
//! The untrained turns of a bot are an index of keys in the order they were asked. A turn enters
//! it when it is stored, and leaves it in the transaction that marks the turn and adds the
//! documents made from it: a crash between the two cannot lose a turn or train on it twice.

use crate::bots;
use crate::documents;
use crate::error::{Error, Failure};
use crate::records::{
    AddedDocuments, ChatKind, ChatRecord, NewDocument, TurnKey, TurnRecord, TurnStatus,
};
use crate::tables::{CHATS, Nanoseconds, TURNS, UNTRAINED};
use crate::transaction::{ReadTransaction, WriteTransaction};

/// A key of the untrained turns: (bot, asked, chat, turn).
type Key<'k> = (&'k str, Nanoseconds, &'k str, u64);

/// Whether a turn has something to learn from.
fn is_trainable(turn: &TurnRecord) -> bool {
    let said = |text: &str| !text.trim().is_empty();
    turn.status == TurnStatus::Complete && said(&turn.question) && said(&turn.answer)
}

/// Adds a new turn of a text chat to the untrained ones, if a training run may take it.
pub(crate) fn note(
    txn: &WriteTransaction,
    chat: &ChatRecord,
    turn: &TurnRecord,
) -> Result<(), Failure> {
    if is_trainable(turn) && !turn.trained {
        let asked = turn.timestamp.as_nanosecond();
        let key: Key<'_> = (&chat.bot_id, asked, &chat.chat_id, turn.turn);
        txn.index(UNTRAINED)?.insert(key, ())?;
    }
    Ok(())
}

/// Forgets the untrained turns of a chat that is about to go.
pub(crate) fn forget_chat(txn: &WriteTransaction, chat: &ChatRecord) -> Result<(), Failure> {
    let mut untrained = txn.index(UNTRAINED)?;
    untrained.retain_in::<Key<'_>, _>(all_of_bot(&chat.bot_id), |key, ()| key.2 != chat.chat_id)?;
    Ok(())
}

/// Forgets the untrained turns of a bot that is about to go.
pub(crate) fn forget_bot(txn: &WriteTransaction, bot_id: &str) -> Result<(), Failure> {
    let mut untrained = txn.index(UNTRAINED)?;
    untrained.retain_in::<Key<'_>, _>(all_of_bot(bot_id), |_, ()| false)?;
    Ok(())
}

pub(crate) fn untrained(
    txn: &ReadTransaction,
    bot_id: &str,
) -> Result<Vec<(TurnKey, TurnRecord)>, Failure> {
    bots::get(txn, bot_id)?;
    let turns = txn.records(TURNS)?;
    let mut found = Vec::new();
    for entry in txn.index(UNTRAINED)?.range::<Key<'_>>(all_of_bot(bot_id))? {
        let (entry, ()) = (entry?.0, ());
        let (_, _, chat_id, number) = entry.value();
        let key = TurnKey {
            chat_id: chat_id.to_owned(),
            turn: number,
        };
        let turn = turns.get((chat_id, number))?;
        let turn = turn.ok_or_else(|| not_found(bot_id, &key))?;
        found.push((key, turn));
    }
    Ok(found)
}

pub(crate) fn commit(
    txn: &WriteTransaction,
    bot_id: &str,
    taken: &[TurnKey],
    new: &[NewDocument],
) -> Result<AddedDocuments, Failure> {
    bots::get_for_change(txn, bot_id)?;
    for key in taken {
        mark_trained(txn, bot_id, key)?;
    }
    documents::add(txn, bot_id, new)
}

fn mark_trained(txn: &WriteTransaction, bot_id: &str, key: &TurnKey) -> Result<(), Failure> {
    let mut turn = turn_of_bot(txn, bot_id, key)?;
    let (chat_id, number) = (key.chat_id.clone(), key.turn);
    if turn.trained {
        let turn = number;
        return Err(Failure::Store(Error::TurnAlreadyTrained { chat_id, turn }));
    }
    if !is_trainable(&turn) {
        let turn = number;
        return Err(Failure::Store(Error::TurnNotTrainable { chat_id, turn }));
    }
    turn.trained = true;
    txn.records(TURNS)?.insert((&chat_id, number), &turn)?;
    let key: Key<'_> = (bot_id, turn.timestamp.as_nanosecond(), &chat_id, number);
    txn.index(UNTRAINED)?.remove(key)?;
    Ok(())
}

/// A turn of a text chat, provided that the chat is the bot's.
fn turn_of_bot(txn: &WriteTransaction, bot_id: &str, key: &TurnKey) -> Result<TurnRecord, Failure> {
    let chat = txn.records(CHATS)?.get(&key.chat_id)?;
    let own = chat.is_some_and(|chat| chat.bot_id == bot_id && chat.kind == ChatKind::Text);
    let turn = match own {
        true => txn.records(TURNS)?.get((&key.chat_id, key.turn))?,
        false => None,
    };
    turn.ok_or_else(|| not_found(bot_id, key))
}

fn all_of_bot(bot_id: &str) -> std::ops::Range<Key<'_>> {
    (bot_id, Nanoseconds::MIN, "", 0)..(bot_id, Nanoseconds::MAX, "", 0)
}

fn not_found(bot_id: &str, key: &TurnKey) -> Failure {
    Failure::Store(Error::TurnNotFound {
        bot_id: bot_id.to_owned(),
        chat_id: key.chat_id.clone(),
        turn: key.turn,
    })
}
