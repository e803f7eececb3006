//! Tenants through the facade: what one does is not there for another, caches included; and keys.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use jiff::{SignedDuration, Timestamp};
use longtrainer::{
    Admission, BotOptions, ChatKind, Error, ErrorKind, JobTask, LongTrainer, NewKey,
    ResponseOptions, TenantId,
};
use support::{World, documents};

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn view(world: &World, name: &str) -> LongTrainer {
    world.trainer.for_tenant(&tenant(name)).unwrap()
}

/// A built bot with a chat in which one question was answered.
fn bot_with_a_chat(trainer: &LongTrainer) -> (longtrainer::BotId, longtrainer::ChatId) {
    let bot = trainer.initialize_bot_id().unwrap();
    let texts = documents(&["The lighthouse keeper is called Ingrid."]);
    trainer.pass_documents(texts, &bot).unwrap();
    trainer.create_bot(&bot, BotOptions::default()).unwrap();
    let chat = trainer.new_chat(&bot).unwrap();
    trainer
        .get_response("Who?", &bot, &chat, ResponseOptions::default())
        .unwrap();
    (bot, chat)
}

#[track_caller]
fn not_found<T>(result: longtrainer::Result<T>) {
    let error = result.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[test]
fn a_bot_is_its_tenants_and_the_owners() {
    let world = World::new();
    let (acme, zeta) = (view(&world, "acme"), view(&world, "zeta"));
    let (bot, chat) = bot_with_a_chat(&acme);
    let (owners, owners_chat) = bot_with_a_chat(&world.trainer);
    assert_eq!(acme.bot(&bot).unwrap().tenant.as_deref(), Some("acme"));
    assert_eq!(world.trainer.bot(&owners).unwrap().tenant, None);
    assert_eq!(acme.list_bots().unwrap().len(), 1);
    assert!(zeta.list_bots().unwrap().is_empty());
    assert_eq!(world.trainer.list_bots().unwrap().len(), 2);

    for (stranger, bot, chat) in [(&zeta, &bot, &chat), (&acme, &owners, &owners_chat)] {
        not_found(stranger.bot(bot));
        not_found(stranger.chats(bot, ChatKind::Text));
        not_found(stranger.chat(chat));
        not_found(stranger.delete_chatbot(bot));
        not_found(stranger.train_chats(bot));
        not_found(stranger.remove_documents(bot, &[0]));
        not_found(stranger.create_bot(bot, BotOptions::default()));
        not_found(stranger.get_response("Who?", bot, chat, ResponseOptions::default()));
        not_found(stranger.begin_job(&JobTask::Build {
            bot_id: bot.clone(),
        }));
        not_found(stranger.jobs(bot));
    }
    world.trainer.chat(&chat).unwrap();
    world.trainer.delete_chatbot(&bot).unwrap();
    not_found(acme.bot(&bot));
}

#[test]
fn an_index_in_memory_is_not_searched_for_others() {
    let world = World::new();
    let (bot, _) = bot_with_a_chat(&view(&world, "acme"));
    // It is loaded now, and shared by all views.
    let found = view(&world, "acme").retrieve(&bot, "Ingrid", None).unwrap();
    assert_eq!(found.documents.len(), 1);
    not_found(view(&world, "zeta").retrieve(&bot, "Ingrid", None));
    not_found(view(&world, "zeta").load_bot(&bot));
    view(&world, "acme").retrieve(&bot, "Ingrid", None).unwrap();
}

#[test]
fn what_a_model_has_read_is_shared_within_a_tenant() {
    let world = World::new();
    for (name, trainer) in [
        (Some("acme"), view(&world, "acme")),
        (None, world.trainer.clone()),
    ] {
        bot_with_a_chat(&trainer);
        let requests = world.model.requests();
        let scope = requests.last().unwrap().cache_scope.as_deref();
        assert_eq!(scope, name);
    }
}

#[test]
fn what_all_share_is_for_the_owner() {
    let world = World::new();
    let acme = view(&world, "acme");
    assert_eq!(acme.tenant(), Some(&tenant("acme")));
    acme.for_tenant(&tenant("acme")).unwrap();
    let new = NewKey {
        name: "k".to_owned(),
        ..NewKey::default()
    };
    for refused in [
        acme.for_tenant(&tenant("zeta")).err(),
        acme.create_key(new).err(),
        acme.list_keys().err(),
        acme.revoke_key("0").err(),
        acme.unload_model("scripted").err(),
        acme.resume_jobs().err(),
        acme.interrupt_jobs().err(),
        acme.begin_job(&JobTask::Pull {
            model: "all-MiniLM-L6-v2".to_owned(),
        })
        .err(),
    ] {
        let error = refused.unwrap();
        assert!(matches!(error, Error::OwnerOnly { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::Forbidden);
    }
    assert_eq!(
        acme.store_figures().unwrap_err().kind(),
        ErrorKind::Forbidden
    );
}

#[test]
fn a_key_is_known_until_it_is_revoked_and_after_a_restart() {
    let world = World::new();
    assert!(!world.trainer.has_keys());
    let new = NewKey {
        name: "laptop".to_owned(),
        tenant: Some(tenant("acme")),
        expires_at: None,
    };
    let (key, record) = world.trainer.create_key(new).unwrap();
    assert_eq!(
        (record.key_id.as_str(), &*record.name),
        (key.id(), "laptop")
    );
    let world = world.restart();
    let trainer = &world.trainer;
    assert!(trainer.has_keys());
    let Admission::Admitted(seen) = trainer.admission(key.as_str()) else {
        panic!("a good key is admitted");
    };
    assert_eq!(seen, record);
    assert!(trainer.key_use_is_due(&seen));
    trainer.note_key_use(key.id()).unwrap();
    let used = trainer.list_keys().unwrap()[0].last_used_at;
    assert!(used.is_some());
    trainer.note_key_use(key.id()).unwrap();
    assert_eq!(trainer.list_keys().unwrap()[0].last_used_at, used, "coarse");

    let forged = format!("lt-{}-{}", key.id(), "0".repeat(64));
    for wrong in ["", "acme", &forged, &key.as_str()[1..]] {
        assert_eq!(trainer.admission(wrong), Admission::Unknown, "{wrong}");
    }
    trainer.revoke_key(key.id()).unwrap();
    let refused = trainer.admission(key.as_str());
    assert!(matches!(refused, Admission::Revoked(_)), "{refused:?}");
    let world = world.restart();
    let refused = world.trainer.admission(key.as_str());
    assert!(matches!(refused, Admission::Revoked(_)), "{refused:?}");
    assert!(world.trainer.has_keys(), "no key is left, but keys are on");
    not_found(world.trainer.revoke_key("0000000000000000"));
}

#[test]
fn a_key_ends_when_it_was_to_end() {
    let world = World::new();
    let soon = Timestamp::now() + SignedDuration::from_millis(150);
    let new = |expires_at| NewKey {
        name: "guest".to_owned(),
        tenant: None,
        expires_at: Some(expires_at),
    };
    let (key, _) = world.trainer.create_key(new(soon)).unwrap();
    let before = world.trainer.admission(key.as_str());
    assert!(matches!(before, Admission::Admitted(_)), "{before:?}");
    std::thread::sleep(std::time::Duration::from_millis(200));
    let after = world.trainer.admission(key.as_str());
    assert!(matches!(after, Admission::Expired(_)), "{after:?}");
    let past = world.trainer.create_key(new(soon)).unwrap_err();
    assert_eq!(past.kind(), ErrorKind::InvalidInput, "{past}");
}

#[test]
fn a_key_has_a_name_that_can_be_shown() {
    let world = World::new();
    for name in ["", "  ", "a\nb", &"x".repeat(201)] {
        let new = NewKey {
            name: name.to_owned(),
            ..NewKey::default()
        };
        let error = world.trainer.create_key(new).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    assert!(!world.trainer.has_keys());
}
