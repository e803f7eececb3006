//! The schema number of a file, and the way from an older schema to the present one.
//!
//! A schema is what the tables and their bytes mean; `docs/store-format.md` lists them. A file
//! with an older number is copied aside first, then brought forward one [`Step`] at a time, all
//! in one transaction: whatever fails, the file still holds what it held. A file with a newer
//! number is left alone, because a guess about its meaning could lose something.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, TableError};

use crate::connection::{Connection, OpenBackend};
use crate::error::{Error, Failure, Result};
use crate::folder::sync_folder;
use crate::staged_backend::StagedFile;
use crate::tables::{
    BOTS, BOTS_BY_CREATION, BOTS_BY_TENANT, CHATS, CHATS_BY_BOT, CHATS_OF_PICTURES, CHUNKS,
    DOCUMENT_CHUNKS, DOCUMENT_HASHES, DOCUMENTS, JOBS, JOBS_BY_BOT, KEYS, META, PICTURES,
    PICTURES_OF_CHATS, SCHEMA_KEY, SEQUENCES, TURNS, UNTRAINED, VECTORS, VISION_TURNS,
};
use crate::transaction::WriteTransaction;

/// What this version of the program reads and writes.
pub(crate) const PRESENT: Schema = Schema {
    number: 3,
    steps: &[
        Step {
            from: 1,
            run: add_pictures,
        },
        Step {
            from: 2,
            run: add_tenants,
        },
    ],
};

/// A schema, and the steps that lead to it.
#[derive(Clone, Copy)]
pub(crate) struct Schema {
    pub(crate) number: u64,
    /// One step for every older schema that can still be read, oldest first.
    pub(crate) steps: &'static [Step],
}

impl Schema {
    /// The steps that a file of schema `number` has before it.
    fn steps_from(&self, number: u64) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |step| step.from >= number)
    }

    /// Whether the steps lead from schema `number` to this one without a gap.
    fn reaches_from(&self, number: u64) -> bool {
        self.steps_from(number)
            .map(|step| step.from)
            .eq(number..self.number)
    }
}

/// From 1 to 2: makes the tables of pictures. A turn of schema 1 has no records of its pictures, which
/// reads as an empty list.
fn add_pictures(transaction: &WriteTransaction) -> Result<(), Failure> {
    transaction.records(PICTURES)?;
    transaction.index(PICTURES_OF_CHATS)?;
    transaction.index(CHATS_OF_PICTURES)?;
    Ok(())
}

/// From 2 to 3: makes the tables of API keys and of the bots of tenants. A bot of schema 2 has no
/// tenant: it is the owner's.
fn add_tenants(transaction: &WriteTransaction) -> Result<(), Failure> {
    transaction.records(KEYS)?;
    transaction.index(BOTS_BY_TENANT)?;
    Ok(())
}

/// Brings a file from schema `from` to the next.
pub(crate) struct Step {
    pub(crate) from: u64,
    pub(crate) run: fn(&WriteTransaction) -> Result<(), Failure>,
}

/// What was found in a file.
enum Found {
    /// Nothing yet.
    Empty,
    /// The present schema.
    Present,
    /// An older schema, with the file copied aside.
    Older { number: u64, backup: PathBuf },
}

/// Opens the store at `path`, bringing it to `schema`; a file without content becomes a store.
pub(crate) fn open(path: &Path, open_backend: OpenBackend, schema: Schema) -> Result<Connection> {
    let (connection, found) = Connection::open(path, open_backend, |database, file| {
        inspect(path, database, file, schema)
    })?;
    match found {
        Found::Empty => connection.write(|transaction| create_tables(transaction, schema))?,
        Found::Present => {}
        Found::Older { number, backup } => migrate(&connection, number, &backup, schema)?,
    }
    Ok(connection)
}

/// Looks at a file that may not be changed yet. An older one is copied aside.
fn inspect(path: &Path, database: &Database, file: &StagedFile, schema: Schema) -> Result<Found> {
    let number = match read_number(database) {
        Ok(None) => return Ok(Found::Empty),
        Ok(Some(number)) => number,
        Err(failure) => return Err(failure.at(path)),
    };
    if number > schema.number {
        return Err(Error::NewerSchema {
            path: path.to_owned(),
            found: number,
            supported: schema.number,
        });
    }
    if number == schema.number {
        return Ok(Found::Present);
    }
    if !schema.reaches_from(number) {
        return Err(Error::Migration {
            path: path.to_owned(),
            from: number,
            to: schema.number,
            source: "this version has no migration that begins there".into(),
        });
    }
    let backup = back_up(path, file, number)?;
    Ok(Found::Older { number, backup })
}

/// The schema number of a database; `None` if the database has no tables.
fn read_number(database: &Database) -> Result<Option<u64>, Failure> {
    let transaction = database.begin_read()?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) if transaction.list_tables()?.next().is_none() => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    match meta.get(SCHEMA_KEY)? {
        Some(number) => Ok(Some(number.value())),
        None => Err(Failure::Redb(redb::Error::Corrupted(
            "it has no schema number".to_owned(),
        ))),
    }
}

/// Makes every table, so that readers find them, and notes the schema.
fn create_tables(transaction: &WriteTransaction, schema: Schema) -> Result<(), Failure> {
    transaction.records(SEQUENCES)?;
    transaction.records(BOTS)?;
    transaction.index(BOTS_BY_CREATION)?;
    transaction.records(DOCUMENTS)?;
    transaction.records(DOCUMENT_HASHES)?;
    transaction.records(DOCUMENT_CHUNKS)?;
    transaction.records(CHUNKS)?;
    transaction.records(VECTORS)?;
    transaction.records(CHATS)?;
    transaction.index(CHATS_BY_BOT)?;
    transaction.records(TURNS)?;
    transaction.records(VISION_TURNS)?;
    add_pictures(transaction)?;
    add_tenants(transaction)?;
    transaction.index(UNTRAINED)?;
    transaction.records(JOBS)?;
    transaction.index(JOBS_BY_BOT)?;
    write_number(transaction, schema.number)
}

fn write_number(transaction: &WriteTransaction, number: u64) -> Result<(), Failure> {
    let mut meta = transaction.inner().open_table(META)?;
    meta.insert(SCHEMA_KEY, number)?;
    Ok(())
}

/// Runs the steps from schema `from` on. The backup of a migration that failed is removed: the
/// file itself still is what was copied.
fn migrate(connection: &Connection, from: u64, backup: &Path, schema: Schema) -> Result<()> {
    let mut steps_done = false;
    let result = connection.write(|transaction| {
        run_steps(transaction, from, schema)?;
        steps_done = true;
        Ok(())
    });
    match result {
        Ok(()) => {
            tracing::info!(
                from,
                to = schema.number,
                backup = %backup.display(),
                "migrated the store; a copy of the older one was kept"
            );
            Ok(())
        }
        Err(source) => {
            // Once the steps are done it is the commit that failed, which may yet have reached
            // the disk: then the copy is the only older state there is.
            if !steps_done && let Err(error) = fs::remove_file(backup) {
                tracing::warn!(backup = %backup.display(), %error, "could not remove a copy");
            }
            Err(Error::Migration {
                path: connection.path().to_owned(),
                from,
                to: schema.number,
                source: Box::new(source),
            })
        }
    }
}

fn run_steps(transaction: &WriteTransaction, from: u64, schema: Schema) -> Result<(), Failure> {
    for step in schema.steps_from(from) {
        (step.run)(transaction)?;
    }
    write_number(transaction, schema.number)
}

/// Copies the file, as it is, to `<file>.schema-<n>.bak`; the copy is on the disk when this
/// returns. An older copy is never overwritten: the next free name is taken.
fn back_up(path: &Path, file: &StagedFile, number: u64) -> Result<PathBuf> {
    let (backup, mut copy) = create_backup_file(path, number)?;
    let written = file
        .read_through(|piece| copy.write_all(piece))
        .and_then(|()| copy.sync_all())
        .and_then(|()| sync_folder(&backup));
    match written {
        Ok(()) => Ok(backup),
        Err(error) => {
            // A copy that is not whole must not look like one.
            let _ = fs::remove_file(&backup);
            Err(Error::io(&backup, error))
        }
    }
}

fn create_backup_file(path: &Path, number: u64) -> Result<(PathBuf, File)> {
    let mut attempt = 1;
    loop {
        let backup = backup_path(path, number, attempt);
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&backup)
        {
            Ok(file) => return Ok((backup, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => attempt += 1,
            Err(error) => return Err(Error::io(&backup, error)),
        }
    }
}

/// `<file>.schema-<n>.bak`, then `<file>.schema-<n>.2.bak` and so on.
fn backup_path(path: &Path, number: u64, attempt: u64) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".schema-{number}"));
    if attempt > 1 {
        name.push(format!(".{attempt}"));
    }
    name.push(".bak");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests;
