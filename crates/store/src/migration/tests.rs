//! Schemas older and newer than the present one, with steps made for the test.

use std::path::{Path, PathBuf};

use redb::{ReadableTable, TableDefinition};
use tempfile::TempDir;

use super::*;
use crate::redb_store::RedbStore;
use crate::store::Store;

/// The bots of the made-up schema 0: names by id, with nothing around them.
const NAMES: TableDefinition<'static, &str, &str> = TableDefinition::new("names");

const OLDEST: Schema = Schema {
    number: 0,
    steps: &[],
};
const FROM_OLDEST: Schema = Schema {
    number: 1,
    steps: &[Step {
        from: 0,
        run: names_to_bots,
    }],
};
const IN_TWO_STEPS: Schema = Schema {
    number: 2,
    steps: &[
        Step {
            from: 0,
            run: names_to_bots,
        },
        Step {
            from: 1,
            run: note_that_it_ran,
        },
    ],
};
const FAILING: Schema = Schema {
    number: 2,
    steps: &[
        Step {
            from: 0,
            run: names_to_bots,
        },
        Step { from: 1, run: fail },
    ],
};

fn names_to_bots(transaction: &WriteTransaction) -> Result<(), Failure> {
    let names = transaction.inner().open_table(NAMES)?;
    let mut bots = transaction.records(BOTS)?;
    let mut order = transaction.index(BOTS_BY_CREATION)?;
    for entry in names.iter()? {
        let (bot_id, name) = entry?;
        let bot = crate::BotRecord {
            bot_id: bot_id.value().to_owned(),
            tenant: None,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            updated_at: jiff::Timestamp::UNIX_EPOCH,
            settings: crate::BotSettings {
                prompt_template: Some(name.value().to_owned()),
                ..Default::default()
            },
            built_at: None,
            vector_space: None,
            vectors_revision: 0,
        };
        bots.insert(bot_id.value(), &bot)?;
        order.insert((0, bot_id.value()), ())?;
    }
    drop(names);
    transaction.inner().delete_table(NAMES)?;
    Ok(())
}

fn note_that_it_ran(transaction: &WriteTransaction) -> Result<(), Failure> {
    transaction.records(SEQUENCES)?.insert("second step", &1)
}

fn fail(_: &WriteTransaction) -> Result<(), Failure> {
    Err(Failure::Store(Error::BotNotFound {
        bot_id: "bot-lost".to_owned(),
    }))
}

/// A file of schema 0 with two bots.
fn oldest() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.redb");
    let store = RedbStore::open_with(&path, OLDEST).unwrap();
    store
        .connection()
        .write(|transaction| {
            let mut names = transaction.inner().open_table(NAMES)?;
            names.insert("bot-a", "Ada")?;
            names.insert("bot-b", "Bob")?;
            Ok(())
        })
        .unwrap();
    drop(store);
    (folder, path)
}

fn assert_migrated(store: &RedbStore) {
    let bots = store.bots().unwrap();
    let names: Vec<_> = bots
        .iter()
        .map(|bot| bot.settings.prompt_template.as_deref().unwrap())
        .collect();
    assert_eq!(names, ["Ada", "Bob"]);
}

fn backups(folder: &TempDir) -> Vec<String> {
    let names = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name != "store.redb").collect();
    names.sort();
    names
}

fn number_of(path: &Path) -> u64 {
    let database = Database::open(path).unwrap();
    read_number(&database).unwrap().unwrap()
}

#[test]
fn an_older_file_is_copied_and_migrated() {
    let (folder, path) = oldest();
    let before = fs::read(&path).unwrap();
    let store = RedbStore::open_with(&path, FROM_OLDEST).unwrap();
    assert_migrated(&store);
    drop(store);
    assert_eq!(backups(&folder), ["store.redb.schema-0.bak"]);
    assert!(fs::read(folder.path().join("store.redb.schema-0.bak")).unwrap() == before);
    // Nothing is left to do the next time.
    assert_migrated(&RedbStore::open_with(&path, FROM_OLDEST).unwrap());
    assert_eq!(backups(&folder).len(), 1);
}

#[test]
fn steps_run_in_order_up_to_the_present() {
    let (_folder, path) = oldest();
    let store = RedbStore::open_with(&path, IN_TWO_STEPS).unwrap();
    assert_migrated(&store);
    let ran = store
        .connection()
        .read(|transaction| transaction.records(SEQUENCES)?.get("second step"));
    assert_eq!(ran.unwrap(), Some(1));
    drop(store);
    assert_eq!(number_of(&path), 2);
}

#[test]
fn a_file_in_the_middle_takes_only_the_steps_it_lacks() {
    let (folder, path) = oldest();
    drop(RedbStore::open_with(&path, FROM_OLDEST).unwrap());
    assert_migrated(&RedbStore::open_with(&path, IN_TWO_STEPS).unwrap());
    assert_eq!(
        backups(&folder),
        ["store.redb.schema-0.bak", "store.redb.schema-1.bak"]
    );
}

#[test]
fn a_failed_migration_leaves_the_file_as_it_was() {
    let (folder, path) = oldest();
    for _ in 0..2 {
        let error = RedbStore::open_with(&path, FAILING).unwrap_err();
        assert!(
            matches!(&error, Error::Migration { path: named, from: 0, to: 2, .. } if *named == path),
            "{error:?}"
        );
        let source = std::error::Error::source(&error).unwrap();
        assert!(source.to_string().contains("bot-lost"));
        assert!(backups(&folder).is_empty());
    }
    assert_eq!(number_of(&path), 0);
    assert_migrated(&RedbStore::open_with(&path, FROM_OLDEST).unwrap());
}

#[test]
fn an_older_copy_is_never_overwritten() {
    let (folder, path) = oldest();
    let kept = folder.path().join("store.redb.schema-0.bak");
    fs::write(&kept, "precious").unwrap();
    let before = fs::read(&path).unwrap();
    drop(RedbStore::open_with(&path, FROM_OLDEST).unwrap());
    assert_eq!(fs::read_to_string(&kept).unwrap(), "precious");
    let second = folder.path().join("store.redb.schema-0.2.bak");
    assert!(fs::read(second).unwrap() == before);
}

#[test]
fn a_copy_that_cannot_be_made_stops_the_migration() {
    let (folder, path) = oldest();
    let before = fs::read(&path).unwrap();
    let link = folder.path().join("elsewhere.redb");
    fs::rename(&path, &link).unwrap();
    // A backend whose file has another place than its name: the folder for the copy is missing.
    let named = folder.path().join("missing").join("store.redb");
    let result =
        RedbStore::open_backend(&named, crate::connection::file_backend(&link), FROM_OLDEST);
    let error = result.unwrap_err();
    assert!(matches!(&error, Error::Io { path, .. } if path.starts_with(named.parent().unwrap())));
    assert!(fs::read(&link).unwrap() == before);
}

#[test]
fn a_newer_file_is_refused_and_untouched() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.redb");
    let newer = Schema {
        number: PRESENT.number + 6,
        steps: &[],
    };
    drop(RedbStore::open_with(&path, newer).unwrap());
    let before = fs::read(&path).unwrap();
    let error = RedbStore::open(&path).unwrap_err();
    assert!(matches!(
        &error,
        Error::NewerSchema { path: named, found: 9, supported: 3 } if *named == path
    ));
    assert!(fs::read(&path).unwrap() == before);
    assert!(backups(&folder).is_empty());
}

#[test]
fn a_schema_without_a_way_forward_is_refused_and_untouched() {
    let (folder, path) = oldest();
    let before = fs::read(&path).unwrap();
    let error = RedbStore::open(&path).unwrap_err();
    assert!(matches!(error, Error::Migration { from: 0, to: 3, .. }));
    assert!(fs::read(&path).unwrap() == before);
    assert!(backups(&folder).is_empty());
}

#[test]
fn a_file_without_a_number_is_damaged() {
    let (_folder, path) = oldest();
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction
        .open_table(META)
        .unwrap()
        .remove(SCHEMA_KEY)
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = RedbStore::open(&path).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
}

/// What the version before pictures wrote: a bot with two documents, one of them searchable, a text
/// and a vision chat with a turn each, and a job.
const SCHEMA_1: &[u8] = include_bytes!("../../tests/data/schema-1.redb");

#[test]
fn a_store_of_schema_1_opens_with_all_it_held_and_takes_pictures() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.redb");
    fs::write(&path, SCHEMA_1).unwrap();
    let store = RedbStore::open(&path).unwrap();
    assert_eq!(backups(&folder), ["store.redb.schema-1.bak"]);
    let copy = fs::read(folder.path().join("store.redb.schema-1.bak")).unwrap();
    assert!(copy == SCHEMA_1, "the copy is the file as it was");

    let bot = store.bot("bot-a").unwrap();
    assert_eq!(
        (bot.settings.num_k, bot.settings.keep_pictures),
        (Some(4), None)
    );
    let documents = store.documents("bot-a", None, 9).unwrap();
    let texts: Vec<_> = documents.iter().map(|one| &*one.page_content).collect();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(store.visit_vectors("bot-a", &mut |_, _| {}).unwrap(), 1);
    let turns = store.turns("chat-a", crate::Order::Newest, None).unwrap();
    assert_eq!(turns[0].question, "question a");
    assert_eq!(store.jobs("bot-a").unwrap().len(), 1);

    let mut turns = store
        .vision_turns("vision-a", crate::Order::Newest, None)
        .unwrap();
    let mut turn = turns.remove(0);
    assert_eq!(turn.image_paths, ["p.png"]);
    assert_eq!(turn.pictures, []);
    turn.pictures.push(crate::PictureRecord {
        name: "p.png".to_owned(),
        path: None,
        sha256: "05".repeat(32),
        size: 1,
        media_type: None,
        kept: false,
    });
    let copy = crate::PictureCopy {
        sha256: [5; 32],
        bytes: [5].into(),
    };
    store
        .append_vision_turn("vision-a", &turn, &[copy])
        .unwrap();
    drop(store);
    let store = RedbStore::open(&path).unwrap();
    assert_eq!(store.picture("vision-a", &"05".repeat(32)).unwrap(), [5]);
    assert_eq!(backups(&folder).len(), 1, "migrated once");
}

/// What the version before tenants wrote: as schema 1, with a picture kept in the vision chat.
const SCHEMA_2: &[u8] = include_bytes!("../../tests/data/schema-2.redb");

#[test]
fn a_store_of_schema_2_opens_with_all_it_held_and_takes_tenants_and_keys() {
    use crate::key_store::{KeyRecord, KeyStore, StoredKey};

    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.redb");
    fs::write(&path, SCHEMA_2).unwrap();
    let store = RedbStore::open(&path).unwrap();
    assert_eq!(backups(&folder), ["store.redb.schema-2.bak"]);

    let old = store.bot("bot-a").unwrap();
    assert_eq!((old.settings.num_k, &old.tenant), (Some(4), &None));
    assert_eq!(store.picture("vision-a", &"07".repeat(32)).unwrap(), [7]);
    assert_eq!(store.untrained_turns("bot-a").unwrap().len(), 1);
    assert_eq!(store.visit_vectors("bot-a", &mut |_, _| {}).unwrap(), 1);

    let new = crate::BotRecord {
        bot_id: "bot-b".to_owned(),
        tenant: Some("acme".to_owned()),
        ..old
    };
    store.create_bot(&new).unwrap();
    let key = crate::ApiKey::random().unwrap();
    let record = KeyRecord {
        key_id: key.id().to_owned(),
        name: "laptop".to_owned(),
        tenant: Some("acme".to_owned()),
        created_at: new.created_at,
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    };
    let stored = StoredKey {
        record: record.clone(),
        sha256: key.hash(),
    };
    store.create_key(&stored).unwrap();
    drop(store);
    let store = RedbStore::open(&path).unwrap();
    assert_eq!(store.bots_of_tenant("acme").unwrap(), [new]);
    assert_eq!(store.bots().unwrap().len(), 2);
    let keys = store.keys().unwrap();
    assert!(keys.len() == 1 && keys[0].sha256.is_of(&key));
    assert_eq!(keys[0].record, record);
    assert_eq!(backups(&folder).len(), 1, "migrated once");
}
