//! Jobs: their records and their order by bot and creation.

use std::ops::Range;

use jiff::Timestamp;
use redb::ReadableTable;

use crate::bots;
use crate::error::{Error, Failure};
use crate::ids;
use crate::records::JobRecord;
use crate::tables::{JOBS, JOBS_BY_BOT, Nanoseconds};
use crate::transaction::{ReadTransaction, Records, WriteTransaction};

/// The open table of jobs.
type Jobs<H> = Records<H, &'static str, JobRecord>;

/// A key of the jobs of a bot: (bot, created, job).
type Key<'k> = (&'k str, Nanoseconds, &'k str);

/// Stands in the order for jobs that work for no bot. No bot has an id without a character.
const NO_BOT: &str = "";

pub(crate) fn put(txn: &WriteTransaction, job: &JobRecord) -> Result<(), Failure> {
    ids::check("job", &job.job_id)?;
    if let Some(bot_id) = &job.bot_id {
        bots::get_for_change(txn, bot_id)?;
    }
    let mut jobs = txn.records(JOBS)?;
    let mut order = txn.index(JOBS_BY_BOT)?;
    if let Some(before) = jobs.get(&job.job_id)? {
        order.remove(order_key(&before))?;
    }
    order.insert(order_key(job), ())?;
    jobs.insert(&job.job_id, job)
}

/// What `edit` makes of a job; it decides neither which job it is nor whose.
pub(crate) fn edited(stored: JobRecord, edit: &mut dyn FnMut(&mut JobRecord)) -> JobRecord {
    let mut job = stored.clone();
    edit(&mut job);
    JobRecord {
        job_id: stored.job_id,
        bot_id: stored.bot_id,
        created_at: stored.created_at,
        updated_at: Timestamp::now(),
        ..job
    }
}

/// Removes a job.
pub(crate) fn remove(txn: &WriteTransaction, job_id: &str) -> Result<(), Failure> {
    let mut jobs = txn.records(JOBS)?;
    let job = find(&jobs, job_id)?;
    txn.index(JOBS_BY_BOT)?.remove(order_key(&job))?;
    jobs.remove(job_id)?;
    Ok(())
}

fn find<H>(jobs: &Jobs<H>, job_id: &str) -> Result<JobRecord, Failure>
where
    H: ReadableTable<&'static str, &'static [u8]>,
{
    jobs.get(job_id)?.ok_or_else(|| {
        Failure::Store(Error::JobNotFound {
            job_id: job_id.to_owned(),
        })
    })
}

pub(crate) fn get(txn: &ReadTransaction, job_id: &str) -> Result<JobRecord, Failure> {
    find(&txn.records(JOBS)?, job_id)
}

pub(crate) fn list(txn: &ReadTransaction, bot_id: &str) -> Result<Vec<JobRecord>, Failure> {
    bots::get(txn, bot_id)?;
    list_of(txn, bot_id)
}

/// The jobs that work for no bot.
pub(crate) fn list_without_bot(txn: &ReadTransaction) -> Result<Vec<JobRecord>, Failure> {
    list_of(txn, NO_BOT)
}

fn list_of(txn: &ReadTransaction, bot_id: &str) -> Result<Vec<JobRecord>, Failure> {
    let jobs = txn.records(JOBS)?;
    let order = txn.index(JOBS_BY_BOT)?;
    order
        .range::<Key<'_>>(all_of_bot(bot_id))?
        .map(|entry| find(&jobs, entry?.0.value().2))
        .collect()
}

/// Removes every job of a bot.
pub(crate) fn remove_all(txn: &WriteTransaction, bot_id: &str) -> Result<(), Failure> {
    let mut jobs = txn.records(JOBS)?;
    let mut job_ids = Vec::new();
    txn.index(JOBS_BY_BOT)?
        .retain_in::<Key<'_>, _>(all_of_bot(bot_id), |key, ()| {
            job_ids.push(key.2.to_owned());
            false
        })?;
    for job_id in &job_ids {
        jobs.remove(job_id)?;
    }
    Ok(())
}

fn all_of_bot(bot_id: &str) -> Range<Key<'_>> {
    (bot_id, Nanoseconds::MIN, "")..(bot_id, Nanoseconds::MAX, "")
}

fn order_key(job: &JobRecord) -> Key<'_> {
    (
        job.bot_id.as_deref().unwrap_or(NO_BOT),
        job.created_at.as_nanosecond(),
        &job.job_id,
    )
}
