//! Turns of text and vision chats.
//!
//! A turn commits together with the count in its chat and with its entry among the untrained
//! turns, so that none of the three can ever disagree. [`Turn`] is what the two kinds of turns
//! have in common.

use jiff::Timestamp;

use crate::chats;
use crate::codec::Stored;
use crate::documents::all_of;
use crate::error::{Error, Failure, Result};
use crate::records::{
    ChatKind, ChatRecord, Order, PictureCopy, SourceRecord, TurnRecord, VisionTurnRecord,
};
use crate::tables::{CHATS, RecordTable, TURNS, VISION_TURNS};
use crate::transaction::{ReadTransaction, WriteTransaction};
use crate::{pictures, training};

/// A turn of one kind of chat.
pub(crate) trait Turn: Stored {
    /// The chats it belongs in.
    const KIND: ChatKind;
    /// The table it stands in.
    const TABLE: RecordTable<(&'static str, u64), Self>;

    fn sources(&self) -> &[SourceRecord];

    /// Gives the turn its place and whatever else the store decides.
    fn settle(&mut self, number: u64);

    /// Adds a turn that has been stored to the untrained ones, if it belongs there.
    fn note_untrained(&self, txn: &WriteTransaction, chat: &ChatRecord) -> Result<(), Failure>;
}

impl Turn for TurnRecord {
    const KIND: ChatKind = ChatKind::Text;
    const TABLE: RecordTable<(&'static str, u64), Self> = TURNS;

    fn sources(&self) -> &[SourceRecord] {
        &self.sources
    }

    fn settle(&mut self, number: u64) {
        self.turn = number;
    }

    fn note_untrained(&self, txn: &WriteTransaction, chat: &ChatRecord) -> Result<(), Failure> {
        training::note(txn, chat, self)
    }
}

impl Turn for VisionTurnRecord {
    const KIND: ChatKind = ChatKind::Vision;
    const TABLE: RecordTable<(&'static str, u64), Self> = VISION_TURNS;

    fn sources(&self) -> &[SourceRecord] {
        &self.sources
    }

    fn settle(&mut self, number: u64) {
        self.turn = number;
        self.trained = false;
    }

    fn note_untrained(&self, _: &WriteTransaction, _: &ChatRecord) -> Result<(), Failure> {
        Ok(())
    }
}

pub(crate) fn append<T: Turn>(
    txn: &WriteTransaction,
    chat_id: &str,
    mut turn: T,
) -> Result<u64, Failure> {
    let mut chat = chats::get_for_change(txn, chat_id)?;
    chats::require_kind(&chat, T::KIND)?;
    check_scores(chat_id, turn.sources())?;
    let number = chat.turns;
    turn.settle(number);
    txn.records(T::TABLE)?.insert((chat_id, number), &turn)?;
    turn.note_untrained(txn, &chat)?;
    chat.turns += 1;
    chat.updated_at = Timestamp::now();
    chats::replace(txn, &chat)?;
    Ok(number)
}

/// Appends a turn to a vision chat together with the copies of its pictures.
pub(crate) fn append_vision(
    txn: &WriteTransaction,
    chat_id: &str,
    mut turn: VisionTurnRecord,
    copies: &[PictureCopy],
) -> Result<u64, Failure> {
    let chat = chats::get_for_change(txn, chat_id)?;
    pictures::keep(txn, &chat, &mut turn.pictures, copies)?;
    append(txn, chat_id, turn)
}

/// JSON has no NaN: a turn with one could be written, but never read.
fn check_scores(chat_id: &str, sources: &[SourceRecord]) -> Result<()> {
    match sources.iter().find(|source| !source.score.is_finite()) {
        None => Ok(()),
        Some(source) => Err(Error::InvalidScore {
            chat_id: chat_id.to_owned(),
            chunk_id: source.chunk_id,
            score: source.score,
        }),
    }
}

pub(crate) fn list<T: Turn>(
    txn: &ReadTransaction,
    chat_id: &str,
    order: Order,
    limit: Option<usize>,
) -> Result<Vec<T>, Failure> {
    let chat = chats::find(&txn.records(CHATS)?, chat_id)?;
    chats::require_kind(&chat, T::KIND)?;
    let turns = txn.records(T::TABLE)?;
    let all = turns.range(all_of(chat_id))?;
    let limit = limit.unwrap_or(usize::MAX);
    match order {
        Order::Oldest => all.take(limit).map(|entry| Ok(entry?.1)).collect(),
        Order::Newest => all.rev().take(limit).map(|entry| Ok(entry?.1)).collect(),
    }
}

pub(crate) fn list_from<T: Turn>(
    txn: &ReadTransaction,
    chat_id: &str,
    first: u64,
    limit: usize,
) -> Result<Vec<T>, Failure> {
    let chat = chats::find(&txn.records(CHATS)?, chat_id)?;
    chats::require_kind(&chat, T::KIND)?;
    let turns = txn.records(T::TABLE)?;
    turns
        .range((chat_id, first)..=(chat_id, u64::MAX))?
        .take(limit)
        .map(|entry| Ok(entry?.1))
        .collect()
}
