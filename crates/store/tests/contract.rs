//! The promises of [`Store`], one by one, where the random calls of `model.rs` do not reach.

// The helpers of a test may do what the test may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::{
    Fixture, bot, chat, document, indexed, job, picture, source, space, turn, vision_turn,
};
use longtrainer_store::{
    ChatKind, Error, JobStatus, NewDocument, Order, Store, StoreFigures, TurnKey, VectorFault,
    VectorSpace,
};
use serde_json::json;

fn with_bots(ids: &[&str]) -> Fixture {
    let fixture = Fixture::new();
    for id in ids {
        fixture.store.create_bot(&bot(id, 0)).unwrap();
    }
    fixture
}

#[test]
fn records_come_back_as_they_were_after_reopening() {
    let fixture = with_bots(&["bot-a"]);
    let store = &fixture.store;
    let chats =
        [ChatKind::Text, ChatKind::Vision].map(|kind| chat(&format!("{kind}"), "bot-a", kind, 5));
    chats
        .iter()
        .for_each(|chat| store.create_chat(chat).unwrap());
    let said = turn("ünïcode \u{10FFFF}\0\n", 7);
    let (shown, copy) = picture(9);
    let mut seen = vision_turn("v", 8);
    seen.pictures = vec![shown, picture(10).0];
    assert_eq!(store.append_turn("text", &said).unwrap(), 0);
    assert_eq!(
        store.append_vision_turn("vision", &seen, &[copy]).unwrap(),
        0
    );
    seen.pictures[0].kept = true;
    let mut work = job("job-a", "bot-a", 3);
    store.put_job(&work).unwrap();
    work.status = JobStatus::Failed;
    work.error = Some("no space".to_owned());
    store.put_job(&work).unwrap();

    let mut pull = job("job-b", "bot-a", 4);
    pull.bot_id = None;
    store.put_job(&pull).unwrap();

    let store = &fixture.reopen().store;
    assert_eq!(store.bot("bot-a").unwrap(), bot("bot-a", 0));
    assert_eq!(store.jobs_without_bot().unwrap(), [pull]);
    assert_eq!(store.turns("text", Order::Newest, None).unwrap(), [said]);
    assert_eq!(
        store.vision_turns("vision", Order::Newest, None).unwrap(),
        [seen]
    );
    assert_eq!(store.jobs("bot-a").unwrap(), [work]);
    let listed = store.chats("bot-a", ChatKind::Vision).unwrap();
    assert_eq!(
        (listed[0].created_at, listed[0].turns),
        (chats[1].created_at, 1)
    );
}

#[test]
fn metadata_comes_back_to_the_last_bit_and_in_order() {
    let fixture = with_bots(&["bot-a"]);
    let metadata =
        json!({"z": 0.1, "source": "s", "a": [1.0e-308, 123456789.12345679, u64::MAX, null]});
    let serde_json::Value::Object(metadata) = metadata else {
        panic!()
    };
    let new = NewDocument {
        page_content: "t".to_owned(),
        metadata,
    };
    let id = fixture
        .store
        .add_documents("bot-a", std::slice::from_ref(&new))
        .unwrap()
        .added[0];
    let stored = fixture.store.document("bot-a", id).unwrap();
    assert_eq!(stored.metadata, new.metadata);
    assert!(stored.metadata.keys().eq(new.metadata.keys()));
}

#[test]
fn fifty_megabytes_are_one_document() {
    let fixture = with_bots(&["bot-a"]);
    let text = "All work and no play.\n\"\\\u{1F600}".repeat(50_000_000 / 28 + 1);
    let added = fixture
        .store
        .add_documents("bot-a", &[document(&text)])
        .unwrap()
        .added;
    let fixture = fixture.reopen();
    let stored = fixture.store.document("bot-a", added[0]).unwrap();
    assert!(stored.page_content == text);
    let again = fixture
        .store
        .add_documents("bot-a", &[document(&text)])
        .unwrap();
    assert_eq!((again.added.len(), again.already_there), (0, 1));
    fixture.store.remove_documents("bot-a", &added).unwrap();
    assert!(
        fixture
            .store
            .documents("bot-a", None, 9)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_document_is_new_again_once_removed_but_its_id_is_not() {
    let fixture = with_bots(&["bot-a"]);
    let store = &fixture.store;
    let first = store
        .add_documents("bot-a", &[document("t")])
        .unwrap()
        .added[0];
    store.remove_documents("bot-a", &[first]).unwrap();
    let second = store
        .add_documents("bot-a", &[document("t")])
        .unwrap()
        .added[0];
    assert!(second > first);
}

#[test]
fn ids_are_checked_when_they_are_given() {
    let fixture = with_bots(&["bot-a"]);
    let store = &fixture.store;
    let longest = "é".repeat(128);
    store.create_bot(&bot(&longest, 0)).unwrap();
    store
        .create_chat(&chat(&longest, &longest, ChatKind::Text, 0))
        .unwrap();
    store.append_turn(&longest, &turn("t", 0)).unwrap();
    let huge = "x".repeat(1_000_000);
    for id in ["", &"x".repeat(257), &huge] {
        let results = [
            store.create_bot(&bot(id, 0)),
            store.create_chat(&chat(id, "bot-a", ChatKind::Text, 0)),
            store.put_job(&job(id, "bot-a", 0)),
        ];
        for result in results {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::InvalidId { length, .. } if length == id.len()));
            assert!(error.to_string().len() < 200);
        }
        assert!(matches!(store.bot(id), Err(Error::BotNotFound { .. })));
        assert!(matches!(store.chat(id), Err(Error::ChatNotFound { .. })));
    }
    store.delete_bot(&longest).unwrap();
    assert!(matches!(
        store.chat(&longest),
        Err(Error::ChatNotFound { .. })
    ));
}

#[test]
fn a_taken_id_is_named() {
    let fixture = with_bots(&["bot-a"]);
    let error = fixture.store.create_bot(&bot("bot-a", 1)).unwrap_err();
    assert!(matches!(&error, Error::AlreadyExists { kind: "bot", id } if id == "bot-a"));
    assert_eq!(fixture.store.bot("bot-a").unwrap(), bot("bot-a", 0));
}

#[test]
fn vectors_that_cannot_be_compared_are_refused() {
    let fixture = with_bots(&["bot-a"]);
    let store = &fixture.store;
    let id = store
        .add_documents("bot-a", &[document("t")])
        .unwrap()
        .added[0];
    let index =
        |vectors: &[&[f32]]| store.index_documents("bot-a", &space(2), &[indexed(id, vectors)]);
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = index(&[&[0.0, 1.0], &[0.0, value]]).unwrap_err();
        assert!(matches!(
            error,
            Error::InvalidVector { document_id, chunk: 1, reason: VectorFault::NotFinite { component: 1, .. } }
                if document_id == id
        ));
    }
    let error = index(&[&[0.0]]).unwrap_err();
    assert!(
        error.to_string().contains("1 components, its space has 2"),
        "{error}"
    );
    let bot = store.bot("bot-a").unwrap();
    assert_eq!((bot.vectors_revision, bot.vector_space), (0, None));
    assert_eq!(store.document("bot-a", id).unwrap().chunks, None);
}

#[test]
fn another_space_is_refused_and_both_are_named() {
    let fixture = with_bots(&["bot-a"]);
    let store = &fixture.store;
    let id = store
        .add_documents("bot-a", &[document("t")])
        .unwrap()
        .added[0];
    let document = indexed(id, &[&[1.0, 2.0]]);
    store
        .index_documents("bot-a", &space(2), std::slice::from_ref(&document))
        .unwrap();
    let other = VectorSpace {
        model: "other-model".to_owned(),
        ..space(2)
    };
    let error = store
        .index_documents("bot-a", &other, &[document])
        .unwrap_err();
    let message = error.to_string();
    for part in ["bot-a", "all-minilm", "other-model", "`reindex`"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(matches!(error, Error::VectorSpaceMismatch { .. }));
    store.clear_index("bot-a").unwrap();
    store
        .index_documents("bot-a", &other, &[indexed(id, &[&[1.0, 2.0]])])
        .unwrap();
    assert_eq!(store.bot("bot-a").unwrap().vector_space, Some(other));
}

#[test]
fn indexing_again_replaces_the_chunks() {
    let fixture = with_bots(&["bot-a"]);
    let store = &fixture.store;
    let id = store
        .add_documents("bot-a", &[document("t")])
        .unwrap()
        .added[0];
    let index = |vectors: &[&[f32]]| {
        store
            .index_documents("bot-a", &space(1), &[indexed(id, vectors)])
            .unwrap()
            .remove(0)
    };
    let old = index(&[&[1.0], &[2.0], &[3.0]]);
    let new = index(&[&[4.0]]);
    assert!(
        matches!(store.chunks("bot-a", &old), Err(Error::ChunkNotFound { chunk_id, .. }) if chunk_id == old[0])
    );
    let chunk = store.chunks("bot-a", &new).unwrap().remove(0);
    assert_eq!((chunk.document_id, chunk.ordinal, chunk.start), (id, 0, 0));
    let mut seen = Vec::new();
    let revision = store.visit_vectors("bot-a", &mut |id, vector| seen.push((id, vector.to_vec())));
    assert_eq!((revision.unwrap(), seen), (2, vec![(new[0], vec![4.0])]));
}

#[test]
fn an_unknown_document_stops_the_whole_call() {
    let fixture = with_bots(&["bot-a", "bot-b"]);
    let store = &fixture.store;
    let own = store
        .add_documents("bot-a", &[document("t")])
        .unwrap()
        .added[0];
    let other = store
        .add_documents("bot-b", &[document("t")])
        .unwrap()
        .added[0];
    let error = store.remove_documents("bot-a", &[own, other]).unwrap_err();
    assert!(matches!(error, Error::DocumentNotFound { document_id, .. } if document_id == other));
    let both = [indexed(own, &[&[1.0]]), indexed(other, &[&[1.0]])];
    assert!(store.index_documents("bot-a", &space(1), &both).is_err());
    let kept = store.document("bot-a", own).unwrap();
    assert_eq!(kept.chunks, None);
    assert_eq!(store.bot("bot-a").unwrap().vectors_revision, 0);
}

#[test]
fn an_edit_that_panics_changes_nothing_and_blocks_nothing() {
    let fixture = with_bots(&["bot-a"]);
    let store = &fixture.store;
    let result = catch_unwind(AssertUnwindSafe(|| {
        store.update_bot("bot-a", &mut |bot| {
            bot.settings.num_k = Some(77);
            panic!("an edit that fails");
        })
    }));
    assert!(result.is_err());
    assert_eq!(store.bot("bot-a").unwrap(), bot("bot-a", 0));
    let edited = store
        .update_bot("bot-a", &mut |bot| bot.settings.num_k = Some(5))
        .unwrap();
    assert_eq!(store.bot("bot-a").unwrap(), edited);
    assert!(edited.updated_at > edited.created_at);
}

#[test]
fn an_edit_may_read_the_store_and_a_visitor_may_change_it() {
    let fixture = with_bots(&["bot-a"]);
    let store = &fixture.store;
    store
        .update_bot("bot-a", &mut |bot| {
            bot.settings.num_k = Some(store.bots().unwrap().len())
        })
        .unwrap();
    let id = store
        .add_documents("bot-a", &[document("t")])
        .unwrap()
        .added[0];
    store
        .index_documents("bot-a", &space(1), &[indexed(id, &[&[1.0], &[2.0]])])
        .unwrap();
    let mut seen = 0;
    store
        .visit_vectors("bot-a", &mut |_, _| {
            seen += 1;
            let _ = store.remove_documents("bot-a", &[id]);
        })
        .unwrap();
    assert_eq!(seen, 2, "all vectors come from one snapshot");
}

#[test]
fn edits_of_many_threads_are_all_kept() {
    let fixture = with_bots(&["bot-a"]);
    let store = &fixture.store;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let more = &mut |bot: &mut longtrainer_store::BotRecord| {
                        bot.settings.num_k = bot.settings.num_k.map(|k| k + 1);
                    };
                    store.update_bot("bot-a", more).unwrap();
                }
            });
        }
    });
    assert_eq!(store.bot("bot-a").unwrap().settings.num_k, Some(44));
}

#[test]
fn a_turn_goes_only_into_its_kind_of_chat() {
    let fixture = with_bots(&["bot-a"]);
    let store = &fixture.store;
    store
        .create_chat(&chat("v", "bot-a", ChatKind::Vision, 0))
        .unwrap();
    store
        .create_chat(&chat("t", "bot-a", ChatKind::Text, 0))
        .unwrap();
    let error = store.append_turn("v", &turn("t", 0)).unwrap_err();
    assert!(matches!(
        error,
        Error::WrongChatKind {
            expected: ChatKind::Text,
            found: ChatKind::Vision,
            ..
        }
    ));
    assert!(matches!(
        store.turns("v", Order::Newest, None),
        Err(Error::WrongChatKind { .. })
    ));
    assert!(matches!(
        store.vision_turns("t", Order::Newest, None),
        Err(Error::WrongChatKind { .. })
    ));
    assert!(
        store
            .append_vision_turn("t", &vision_turn("v", 0), &[])
            .is_err()
    );
    assert_eq!(store.chat("v").unwrap().turns, 0);
}

#[test]
fn a_score_that_json_cannot_hold_is_refused() {
    let fixture = with_bots(&["bot-a"]);
    fixture
        .store
        .create_chat(&chat("t", "bot-a", ChatKind::Text, 0))
        .unwrap();
    let mut bad = turn("t", 0);
    bad.sources.push(longtrainer_store::SourceRecord {
        score: f32::NAN,
        ..source()
    });
    let error = fixture.store.append_turn("t", &bad).unwrap_err();
    assert!(matches!(error, Error::InvalidScore { chunk_id: 9, .. }));
    assert!(
        fixture
            .store
            .turns("t", Order::Newest, None)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn training_happens_whole_or_not_at_all() {
    let fixture = with_bots(&["bot-a"]);
    let store = &fixture.store;
    store
        .create_chat(&chat("t", "bot-a", ChatKind::Text, 0))
        .unwrap();
    store.append_turn("t", &turn("one", 0)).unwrap();
    store.append_turn("t", &turn("two", 1)).unwrap();
    let key = |turn| TurnKey {
        chat_id: "t".to_owned(),
        turn,
    };
    let commit = |turns: &[TurnKey]| store.commit_training("bot-a", turns, &[document("csv")]);

    assert!(matches!(
        commit(&[key(0), key(2)]),
        Err(Error::TurnNotFound { turn: 2, .. })
    ));
    assert!(matches!(
        commit(&[key(0), key(0)]),
        Err(Error::TurnAlreadyTrained { turn: 0, .. })
    ));
    assert_eq!(store.untrained_turns("bot-a").unwrap().len(), 2);
    assert!(store.documents("bot-a", None, 9).unwrap().is_empty());

    assert_eq!(commit(&[key(1), key(0)]).unwrap().added.len(), 1);
    assert!(store.untrained_turns("bot-a").unwrap().is_empty());
    assert!(
        store
            .turns("t", Order::Oldest, None)
            .unwrap()
            .iter()
            .all(|turn| turn.trained)
    );
    assert!(matches!(
        commit(&[key(1)]),
        Err(Error::TurnAlreadyTrained { turn: 1, .. })
    ));
}

#[test]
fn an_undecodable_record_is_named_and_the_rest_can_be_read() {
    let fixture = with_bots(&["bot-a", "bot-b"]);
    let path = fixture.path();
    let Fixture { store, folder } = fixture;
    drop(store);
    let database = redb::Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let bots: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("bots");
    transaction
        .open_table(bots)
        .unwrap()
        .insert("bot-a", b"{\"bot_id\":7}".as_slice())
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let store = longtrainer_store::RedbStore::open(&path).unwrap();
    let error = store.bot("bot-a").unwrap_err();
    assert!(
        matches!(&error, Error::DamagedRecord { table: "bots", key, .. } if key.contains("bot-a"))
    );
    store.bot("bot-b").unwrap();
    drop(folder);
}

#[test]
fn the_store_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<longtrainer_store::RedbStore>();
    shared::<Error>();
}

#[test]
fn a_job_is_changed_removed_and_stays_with_its_owner() {
    let fixture = with_bots(&["bot-a", "bot-b"]);
    let store = &fixture.store;
    store.put_job(&job("job-a", "bot-a", 3)).unwrap();
    let changed = store
        .update_job("job-a", &mut |job| {
            job.status = JobStatus::Cancelled;
            job.bot_id = Some("bot-b".to_owned());
            job.job_id = "job-x".to_owned();
        })
        .unwrap();
    assert_eq!(changed.status, JobStatus::Cancelled);
    assert_eq!(store.jobs("bot-a").unwrap(), [changed]);
    assert_eq!(store.jobs("bot-b").unwrap(), []);
    store.remove_job("job-a").unwrap();
    assert_eq!(store.jobs("bot-a").unwrap(), []);
    for result in [
        store.remove_job("job-a"),
        store.update_job("job-a", &mut |_| {}).map(drop),
    ] {
        assert!(matches!(result, Err(Error::JobNotFound { .. })));
    }
}

#[test]
fn documents_are_replaced_whole_or_not_at_all() {
    let fixture = with_bots(&["bot-a"]);
    let store = &fixture.store;
    let old = store
        .add_documents("bot-a", &[document("old"), document("same")])
        .unwrap()
        .added;
    let unknown = store.replace_documents("bot-a", &[old[0], 999], &[document("new")]);
    assert!(matches!(unknown, Err(Error::DocumentNotFound { .. })));
    assert_eq!(store.documents("bot-a", None, 9).unwrap().len(), 2);
    // A document that comes back as it was is not taken for one that is there already.
    let replaced = store
        .replace_documents("bot-a", &old, &[document("same"), document("new")])
        .unwrap();
    assert_eq!((replaced.added.len(), replaced.already_there), (2, 0));
    let texts: Vec<_> = store
        .documents("bot-a", None, 9)
        .unwrap()
        .into_iter()
        .map(|document| document.page_content)
        .collect();
    assert_eq!(texts, ["same", "new"]);
}

#[test]
fn turns_are_read_page_by_page() {
    let fixture = with_bots(&["bot-a"]);
    let store = &fixture.store;
    for id in ["chat-a", "chat-b"] {
        store
            .create_chat(&chat(id, "bot-a", ChatKind::Text, 5))
            .unwrap();
        for number in 0..5 {
            store
                .append_turn(id, &turn(&format!("{id} {number}"), number))
                .unwrap();
        }
    }
    let page = |first, limit| {
        let turns = store.turns_from("chat-a", first, limit).unwrap();
        turns.iter().map(|turn| turn.turn).collect::<Vec<_>>()
    };
    assert_eq!(page(0, 2), [0, 1]);
    assert_eq!(page(2, 9), [2, 3, 4]);
    assert_eq!(page(5, 9), [0; 0]);
    assert!(store.vision_turns_from("chat-a", 0, 1).is_err());
}

#[test]
fn the_figures_follow_what_is_stored() {
    let fixture = with_bots(&["bot-a", "bot-b"]);
    let store = &fixture.store;
    let added = store.add_documents("bot-a", &[document("s"), document("t")]);
    let id = added.unwrap().added[0];
    store
        .index_documents("bot-a", &space(1), &[indexed(id, &[&[1.0], &[2.0]])])
        .unwrap();
    let chats = [
        chat("text", "bot-a", ChatKind::Text, 1),
        chat("vision", "bot-b", ChatKind::Vision, 2),
    ];
    let made = chats.iter().map(|chat| store.create_chat(chat));
    made.for_each(Result::unwrap);
    store.append_turn("text", &turn("a", 3)).unwrap();
    let (shown, copy) = picture(9);
    let mut seen = vision_turn("v", 4);
    seen.pictures = vec![shown];
    store.append_vision_turn("vision", &seen, &[copy]).unwrap();
    store.put_job(&job("job-a", "bot-a", 5)).unwrap();

    let figures = store.figures().unwrap();
    assert_eq!((figures.bots, figures.chats), (2, 2));
    assert_eq!((figures.documents, figures.chunks), (2, 2));
    assert_eq!((figures.turns, figures.pictures, figures.jobs), (2, 1, 1));
    assert!(figures.file_bytes > 4096, "{figures:?}");
    for bot in ["bot-a", "bot-b"] {
        store.delete_bot(bot).unwrap();
    }
    let file_bytes = store.figures().unwrap().file_bytes;
    let nothing = StoreFigures {
        file_bytes,
        ..StoreFigures::default()
    };
    assert_eq!(store.figures().unwrap(), nothing);
}
