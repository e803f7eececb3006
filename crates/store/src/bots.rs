//! Bots: their records, their order by creation, and their end with all they own.

use jiff::Timestamp;
use redb::ReadableTable;

use crate::documents;
use crate::error::{Error, Failure, Result};
use crate::ids;
use crate::records::BotRecord;
use crate::tables::{BOTS, BOTS_BY_CREATION, BOTS_BY_TENANT, Nanoseconds};
use crate::transaction::{ReadTransaction, Records, WriteTransaction};
use crate::{chats, chunks, jobs, training};

/// The open table of bots.
type Bots<H> = Records<H, &'static str, BotRecord>;

pub(crate) fn create(txn: &WriteTransaction, bot: &BotRecord) -> Result<(), Failure> {
    ids::check("bot", &bot.bot_id)?;
    if let Some(tenant) = &bot.tenant {
        ids::check("tenant", tenant)?;
    }
    let mut bots = txn.records(BOTS)?;
    if bots.get(&bot.bot_id)?.is_some() {
        return Err(Failure::Store(Error::AlreadyExists {
            kind: "bot",
            id: bot.bot_id.clone(),
        }));
    }
    bots.insert(&bot.bot_id, bot)?;
    let mut order = txn.index(BOTS_BY_CREATION)?;
    order.insert(creation_key(bot), ())?;
    if let Some(key) = tenant_key(bot) {
        txn.index(BOTS_BY_TENANT)?.insert(key, ())?;
    }
    Ok(())
}

/// The record of a bot, which must exist.
pub(crate) fn find<H>(bots: &Bots<H>, bot_id: &str) -> Result<BotRecord, Failure>
where
    H: ReadableTable<&'static str, &'static [u8]>,
{
    bots.get(bot_id)?.ok_or_else(|| {
        Failure::Store(Error::BotNotFound {
            bot_id: bot_id.to_owned(),
        })
    })
}

pub(crate) fn get(txn: &ReadTransaction, bot_id: &str) -> Result<BotRecord, Failure> {
    find(&txn.records(BOTS)?, bot_id)
}

/// The record of a bot that is about to be changed.
pub(crate) fn get_for_change(txn: &WriteTransaction, bot_id: &str) -> Result<BotRecord, Failure> {
    find(&txn.records(BOTS)?, bot_id)
}

pub(crate) fn list(txn: &ReadTransaction) -> Result<Vec<BotRecord>, Failure> {
    let bots = txn.records(BOTS)?;
    let order = txn.index(BOTS_BY_CREATION)?;
    order
        .iter()?
        .map(|entry| find(&bots, entry?.0.value().1))
        .collect()
}

pub(crate) fn list_of_tenant(
    txn: &ReadTransaction,
    tenant: &str,
) -> Result<Vec<BotRecord>, Failure> {
    let bots = txn.records(BOTS)?;
    let order = txn.index(BOTS_BY_TENANT)?;
    let all = (tenant, Nanoseconds::MIN, "")..(tenant, Nanoseconds::MAX, "");
    order
        .range::<(&str, Nanoseconds, &str)>(all)?
        .map(|entry| find(&bots, entry?.0.value().2))
        .collect()
}

/// What `edit` makes of a bot; it decides neither who the bot is nor whose, nor the state of its
/// vectors.
pub(crate) fn edited(stored: BotRecord, edit: &mut dyn FnMut(&mut BotRecord)) -> BotRecord {
    let mut bot = stored.clone();
    edit(&mut bot);
    BotRecord {
        bot_id: stored.bot_id,
        tenant: stored.tenant,
        created_at: stored.created_at,
        updated_at: Timestamp::now(),
        vector_space: stored.vector_space,
        vectors_revision: stored.vectors_revision,
        ..bot
    }
}

/// Stores the changed record of a bot that exists.
pub(crate) fn replace(txn: &WriteTransaction, bot: &BotRecord) -> Result<(), Failure> {
    txn.records(BOTS)?.insert(&bot.bot_id, bot)
}

pub(crate) fn delete(txn: &WriteTransaction, bot_id: &str) -> Result<(), Failure> {
    let bot = get_for_change(txn, bot_id)?;
    documents::remove_all(txn, bot_id)?;
    chunks::remove_all(txn, bot_id)?;
    training::forget_bot(txn, bot_id)?;
    chats::remove_all(txn, bot_id)?;
    jobs::remove_all(txn, bot_id)?;
    txn.index(BOTS_BY_CREATION)?.remove(creation_key(&bot))?;
    if let Some(key) = tenant_key(&bot) {
        txn.index(BOTS_BY_TENANT)?.remove(key)?;
    }
    txn.records(BOTS)?.remove(bot_id)?;
    Ok(())
}

fn creation_key(bot: &BotRecord) -> (Nanoseconds, &str) {
    (bot.created_at.as_nanosecond(), &bot.bot_id)
}

/// `None` for a bot without a tenant, which stands in no listing of one.
fn tenant_key(bot: &BotRecord) -> Option<(&str, Nanoseconds, &str)> {
    let created = bot.created_at.as_nanosecond();
    Some((bot.tenant.as_deref()?, created, &bot.bot_id))
}
