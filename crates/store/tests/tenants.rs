//! What one tenant sees of a store: every method of [`Store`] is tried on another tenant's records, on
//! the owner's, and on its own.

// The helpers of a test may do what the test may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::{Fixture, at, bot, chat, document, indexed, job, picture, space, turn, vision_turn};
use longtrainer_store::{
    ApiKey, BotRecord, ChatKind, Error, JobRecord, KeyRecord, KeyStore, Order, RedbStore, Store,
    StoredKey, TenantStore, TurnKey,
};

/// Whose bots a store of these tests has; `None` is the owner of the store.
const EVERYBODY: [Option<&str>; 3] = [Some("acme"), Some("zeta"), None];

/// The ids of what one of them has, all of it in one bot.
struct Ids {
    bot: String,
    text: String,
    vision: String,
    job: String,
    document: u64,
    chunk: u64,
}

impl Ids {
    /// Fills a bot and names what is in it.
    fn make(store: &dyn Store, tenant: Option<&str>) -> Self {
        let name = tenant.unwrap_or("owner");
        let id = |kind: &str| format!("{kind}-{name}");
        let record = BotRecord {
            tenant: tenant.map(str::to_owned),
            ..bot(&id("bot"), 0)
        };
        store.create_bot(&record).unwrap();
        let texts = [document("one"), document("two")];
        let added = store.add_documents(&id("bot"), &texts).unwrap().added;
        let chunks = store
            .index_documents(&id("bot"), &space(2), &[indexed(added[0], &[&[1.0, 0.0]])])
            .unwrap();
        for (kind, chat_id) in [
            (ChatKind::Text, id("text")),
            (ChatKind::Vision, id("vision")),
        ] {
            store
                .create_chat(&chat(&chat_id, &id("bot"), kind, 1))
                .unwrap();
        }
        store.append_turn(&id("text"), &turn(name, 2)).unwrap();
        let (shown, copy) = picture(7);
        let mut seen = vision_turn(name, 3);
        seen.pictures.push(shown);
        store
            .append_vision_turn(&id("vision"), &seen, &[copy])
            .unwrap();
        store.put_job(&job(&id("job"), &id("bot"), 4)).unwrap();
        Self {
            bot: id("bot"),
            text: id("text"),
            vision: id("vision"),
            job: id("job"),
            document: added[0],
            chunk: chunks[0][0],
        }
    }
}

/// A store in which everybody has something.
struct Shared {
    store: Arc<RedbStore>,
    ids: Vec<Ids>,
    _folder: tempfile::TempDir,
}

impl Shared {
    fn new() -> Self {
        let Fixture { store, folder } = Fixture::new();
        let ids = EVERYBODY.map(|tenant| Ids::make(&store, tenant)).into();
        Self {
            store: Arc::new(store),
            ids,
            _folder: folder,
        }
    }

    fn view(&self, tenant: &str) -> TenantStore {
        TenantStore::new(Arc::clone(&self.store) as Arc<dyn Store>, tenant)
    }

    /// All that is in the store, as text.
    fn dump(&self) -> String {
        let mut all = format!("{:?}", self.store.bots().unwrap());
        for ids in &self.ids {
            let store = &self.store;
            all += &format!(
                "{:?}{:?}{:?}{:?}{:?}{:?}{:?}{:?}",
                store.documents(&ids.bot, None, 99),
                store.visit_vectors(&ids.bot, &mut |_, _| {}),
                store.chats(&ids.bot, ChatKind::Text),
                store.chats(&ids.bot, ChatKind::Vision),
                store.turns(&ids.text, Order::Oldest, None),
                store.vision_turns(&ids.vision, Order::Oldest, None),
                store.untrained_turns(&ids.bot),
                store.jobs(&ids.bot),
            );
        }
        all
    }
}

/// Calls one method about what `ids` names.
type Call = fn(&dyn Store, &Ids) -> Result<(), Error>;

/// Every method that takes an id, with a call that succeeds for whoever owns it.
const CALLS: &[(&str, Call)] = &[
    ("bot", |s, i| s.bot(&i.bot).map(drop)),
    ("update_bot", |s, i| {
        s.update_bot(&i.bot, &mut |bot| bot.settings.num_k = Some(9))
            .map(drop)
    }),
    ("delete_bot", |s, i| s.delete_bot(&i.bot)),
    ("add_documents", |s, i| {
        s.add_documents(&i.bot, &[document("more")]).map(drop)
    }),
    ("document", |s, i| s.document(&i.bot, i.document).map(drop)),
    ("documents", |s, i| s.documents(&i.bot, None, 9).map(drop)),
    ("remove_documents", |s, i| {
        s.remove_documents(&i.bot, &[i.document]).map(drop)
    }),
    ("replace_documents", |s, i| {
        s.replace_documents(&i.bot, &[i.document], &[document("other")])
            .map(drop)
    }),
    ("index_documents", |s, i| {
        s.index_documents(&i.bot, &space(2), &[indexed(i.document, &[&[0.0, 1.0]])])
            .map(drop)
    }),
    ("clear_index", |s, i| s.clear_index(&i.bot)),
    ("chunks", |s, i| s.chunks(&i.bot, &[i.chunk]).map(drop)),
    ("visit_vectors", |s, i| {
        s.visit_vectors(&i.bot, &mut |_, _| {}).map(drop)
    }),
    ("create_chat", |s, i| {
        s.create_chat(&chat("new", &i.bot, ChatKind::Text, 8))
    }),
    ("chat", |s, i| s.chat(&i.text).map(drop)),
    ("chats", |s, i| s.chats(&i.bot, ChatKind::Text).map(drop)),
    ("rename_chat", |s, i| {
        s.rename_chat(&i.text, Some("mine")).map(drop)
    }),
    ("delete_chat", |s, i| s.delete_chat(&i.vision)),
    ("append_turn", |s, i| {
        s.append_turn(&i.text, &turn("x", 9)).map(drop)
    }),
    ("turns", |s, i| {
        s.turns(&i.text, Order::Newest, None).map(drop)
    }),
    ("turns_from", |s, i| s.turns_from(&i.text, 0, 9).map(drop)),
    ("append_vision_turn", |s, i| {
        let (shown, copy) = picture(9);
        let mut seen = vision_turn("x", 9);
        seen.pictures.push(shown);
        s.append_vision_turn(&i.vision, &seen, &[copy]).map(drop)
    }),
    ("picture", |s, i| {
        s.picture(&i.vision, &"07".repeat(32)).map(drop)
    }),
    ("vision_turns", |s, i| {
        s.vision_turns(&i.vision, Order::Newest, None).map(drop)
    }),
    ("vision_turns_from", |s, i| {
        s.vision_turns_from(&i.vision, 0, 9).map(drop)
    }),
    ("untrained_turns", |s, i| {
        s.untrained_turns(&i.bot).map(drop)
    }),
    ("commit_training", |s, i| {
        let taken = TurnKey {
            chat_id: i.text.clone(),
            turn: 0,
        };
        s.commit_training(&i.bot, &[taken], &[document("learnt")])
            .map(drop)
    }),
    ("put_job", |s, i| s.put_job(&job(&i.job, &i.bot, 4))),
    ("update_job", |s, i| {
        s.update_job(&i.job, &mut |job| job.error = Some("x".to_owned()))
            .map(drop)
    }),
    ("remove_job", |s, i| s.remove_job(&i.job)),
    ("job", |s, i| s.job(&i.job).map(drop)),
    ("jobs", |s, i| s.jobs(&i.bot).map(drop)),
];

/// The methods that take no id; they have tests of their own below.
const WITHOUT_ID: [&str; 5] = [
    "bots",
    "bots_of_tenant",
    "create_bot",
    "jobs_without_bot",
    "figures",
];

#[test]
fn no_method_of_the_store_is_left_out_here() {
    let source = include_str!("../src/store.rs");
    let methods: BTreeSet<_> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("fn ")?.split('(').next())
        .collect();
    let tried = CALLS.iter().map(|(name, _)| *name).chain(WITHOUT_ID);
    assert_eq!(methods, tried.collect());
}

#[test]
fn what_belongs_to_others_answers_as_what_was_never_there() {
    let shared = Shared::new();
    let nothing = Fixture::new();
    let before = shared.dump();
    for (viewer, tenant) in EVERYBODY.into_iter().enumerate() {
        let Some(tenant) = tenant else { continue };
        let view = shared.view(tenant);
        for (owner, ids) in shared.ids.iter().enumerate() {
            if owner == viewer {
                continue;
            }
            for (name, call) in CALLS {
                let refused = call(&view, ids).expect_err(name);
                let unknown = call(&nothing.store, ids).expect_err(name);
                assert_eq!(refused.to_string(), unknown.to_string(), "{name}");
                let not_found = matches!(
                    refused,
                    Error::BotNotFound { .. }
                        | Error::ChatNotFound { .. }
                        | Error::JobNotFound { .. }
                );
                assert!(not_found, "{name}: {refused}");
            }
        }
    }
    assert_eq!(shared.dump(), before, "nothing has changed");
}

#[test]
fn what_is_its_own_a_tenant_uses_as_the_owner_does() {
    for (name, call) in CALLS {
        let shared = Shared::new();
        call(&shared.view("acme"), &shared.ids[0]).unwrap_or_else(|e| panic!("{name}: {e}"));
        // The owner of the store sees the rest, and may do all of it.
        for ids in &shared.ids[1..] {
            let done = match *name {
                // The id of the new chat is taken by now.
                "create_chat" => shared.store.chat(&ids.text).map(drop),
                _ => call(&*shared.store, ids),
            };
            done.unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
}

#[test]
fn a_tenant_lists_its_own_bots_alone() {
    let shared = Shared::new();
    let names = |bots: Vec<BotRecord>| bots.into_iter().map(|b| b.bot_id).collect::<Vec<_>>();
    let view = shared.view("acme");
    assert_eq!(names(view.bots().unwrap()), ["bot-acme"]);
    assert_eq!(names(view.bots_of_tenant("acme").unwrap()), ["bot-acme"]);
    assert!(view.bots_of_tenant("zeta").unwrap().is_empty());
    assert!(shared.view("nobody").bots().unwrap().is_empty());
    // A name that begins like another is another.
    assert!(shared.view("acm").bots().unwrap().is_empty());
    assert_eq!(shared.store.bots().unwrap().len(), 3);
    shared.store.delete_bot("bot-acme").unwrap();
    assert!(view.bots().unwrap().is_empty());
}

#[test]
fn a_new_bot_is_its_makers_whatever_it_says() {
    let shared = Shared::new();
    let view = shared.view("acme");
    for (number, claimed) in [None, Some("zeta"), Some("acme")].into_iter().enumerate() {
        let record = BotRecord {
            tenant: claimed.map(str::to_owned),
            ..bot(&format!("bot-{number}"), 10)
        };
        view.create_bot(&record).unwrap();
        let stored = shared.store.bot(&record.bot_id).unwrap();
        assert_eq!(stored.tenant.as_deref(), Some("acme"));
    }
    assert_eq!(view.bots().unwrap().len(), 4);
}

#[test]
fn nobody_gives_a_bot_away() {
    let shared = Shared::new();
    let mut give_away = |bot: &mut BotRecord| bot.tenant = Some("zeta".to_owned());
    shared
        .view("acme")
        .update_bot("bot-acme", &mut give_away)
        .unwrap();
    shared
        .store
        .update_bot("bot-owner", &mut give_away)
        .unwrap();
    let tenants = ["bot-acme", "bot-owner"].map(|id| shared.store.bot(id).unwrap().tenant);
    assert_eq!(tenants, [Some("acme".to_owned()), None]);
    assert_eq!(shared.view("zeta").bots().unwrap().len(), 1);
}

#[test]
fn a_job_of_another_tenant_is_not_replaced() {
    let shared = Shared::new();
    let stolen = job("job-zeta", "bot-acme", 4);
    let refused = shared.view("acme").put_job(&stolen).unwrap_err();
    assert!(matches!(refused, Error::JobNotFound { .. }), "{refused}");
    let kept = shared.store.job("job-zeta").unwrap();
    assert_eq!(kept.bot_id.as_deref(), Some("bot-zeta"));
}

#[test]
fn what_works_for_no_bot_or_counts_all_is_the_owners() {
    let shared = Shared::new();
    let pull = JobRecord {
        bot_id: None,
        ..job("pull", "bot-acme", 5)
    };
    shared.store.put_job(&pull).unwrap();
    let view = shared.view("acme");
    assert!(view.jobs_without_bot().unwrap().is_empty());
    for refused in [
        view.job("pull").map(drop),
        view.remove_job("pull"),
        view.update_job("pull", &mut |_| {}).map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, Error::JobNotFound { .. }), "{refused}");
    }
    for refused in [view.put_job(&pull), view.figures().map(drop)] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, Error::OwnerOnly { .. }), "{refused}");
    }
    assert_eq!(shared.store.jobs_without_bot().unwrap(), [pull]);
}

fn key(name: &str, seconds: i64) -> (ApiKey, StoredKey) {
    let key = ApiKey::random().unwrap();
    let record = KeyRecord {
        key_id: key.id().to_owned(),
        name: name.to_owned(),
        tenant: None,
        created_at: at(seconds),
        expires_at: Some(at(seconds + 100)),
        last_used_at: None,
        revoked_at: None,
    };
    let sha256 = key.hash();
    (key, StoredKey { record, sha256 })
}

#[test]
fn keys_are_kept_without_their_secret_and_listed_by_age() {
    let fixture = Fixture::new();
    let (second, stored_second) = key("second", 2);
    let (first, stored_first) = key("first", 1);
    fixture.store.create_key(&stored_second).unwrap();
    fixture.store.create_key(&stored_first).unwrap();
    let taken = fixture.store.create_key(&stored_first).unwrap_err();
    assert!(
        matches!(taken, Error::AlreadyExists { kind: "key", .. }),
        "{taken}"
    );
    let fixture = fixture.reopen();
    let keys = fixture.store.keys().unwrap();
    let names: Vec<_> = keys.iter().map(|key| &*key.record.name).collect();
    assert_eq!(names, ["first", "second"]);
    assert!(keys[0].sha256.is_of(&first) && !keys[0].sha256.is_of(&second));
    let path = fixture.path();
    drop(fixture.store);
    let file = std::fs::read(path).unwrap();
    let has = |text: &str| file.windows(text.len()).any(|part| part == text.as_bytes());
    let secret = first.as_str().rsplit('-').next().unwrap();
    assert!(has(first.id()) && !has(secret));
}

#[test]
fn a_key_is_revoked_once_and_its_use_is_noted() {
    let fixture = Fixture::new();
    let (_, stored) = key("laptop", 1);
    let id = stored.record.key_id.clone();
    fixture.store.create_key(&stored).unwrap();
    let used = fixture.store.note_key_use(&id, at(5)).unwrap();
    assert_eq!(used.last_used_at, Some(at(5)));
    fixture.store.revoke_key(&id, at(6)).unwrap();
    let again = fixture.store.revoke_key(&id, at(9)).unwrap();
    assert_eq!(again.revoked_at, Some(at(6)));
    assert_eq!(fixture.store.keys().unwrap()[0].record, again);
    let unknown = fixture.store.revoke_key("0000", at(9)).unwrap_err();
    assert!(matches!(unknown, Error::KeyNotFound { .. }), "{unknown}");
}
