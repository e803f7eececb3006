//! Pulling files of which the list of models gives no hash: what arrives is compared with what the
//! hub says of it, noted, and compared with the note from then on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![cfg(all(feature = "hub", unix))]

mod common;

use std::fs;

use common::hub::{CONFIG, Fault, Hub};
use common::{COMMIT, HUB_SOURCE, NAME, Told, World, files_below};
use longtrainer_models::{
    Error, FileState, LocalModel, ModelStatus, NoProgress, Registry, RegistryOptions, Result,
    sha256_of_file,
};

fn registry(world: &World, address: &str) -> Registry {
    world.registry(HUB_SOURCE).with_hub_endpoint(address)
}

fn pull(world: &World, fault: Fault) -> Result<LocalModel> {
    let (_, address) = Hub::start(world, fault, |_| {});
    registry(world, &address).pull(NAME, &mut NoProgress)
}

/// The reason of the only source, and what a person reads.
fn refusal(pulled: Result<LocalModel>) -> (Error, String) {
    let error = pulled.unwrap_err();
    let message = error.to_string();
    let Error::AllSourcesFailed { mut failures, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(failures.len(), 1);
    (*failures.remove(0).error, message)
}

fn states(registry: &Registry) -> Vec<FileState> {
    let report = registry.verify(NAME).unwrap();
    report.files.into_iter().map(|file| file.state).collect()
}

#[test]
fn what_arrives_is_noted_and_not_asked_for_again() {
    let world = World::vague();
    let (hub, address) = Hub::start(&world, Fault::default(), |_| {});
    let registry = registry(&world, &address);
    let entry = registry.entry(NAME).unwrap();
    assert_eq!((entry.total_size(), entry.least_size()), (None, 800_000));
    let mut told = Told::default();
    let local = registry.pull(NAME, &mut told).unwrap();
    let config = local.path("sub/config.json");
    assert_eq!(fs::read(&config).unwrap(), world.config);
    assert_eq!(
        told.begun[1],
        ("sub/config.json".to_owned(), Some(13), 0),
        "the size is the hub's"
    );
    let notes = fs::read_to_string(world.notes()).unwrap();
    assert!(notes.contains(&sha256_of_file(&config).unwrap()), "{notes}");
    assert!(notes.contains(&format!("owner/tiny@{COMMIT}")), "{notes}");
    assert_eq!(states(&registry), [FileState::Whole, FileState::Unchanged]);
    let requests = hub.requests();
    registry.pull(NAME, &mut NoProgress).unwrap();
    assert_eq!(hub.requests(), requests);
}

#[test]
fn a_file_that_ends_early_is_refused() {
    let world = World::vague();
    let fault = Fault {
        short_config: Some(10),
        ..Fault::default()
    };
    let (error, message) = refusal(pull(&world, fault));
    let Error::WrongSize {
        path,
        expected,
        actual,
    } = error
    else {
        panic!("{error}")
    };
    assert!(path.ends_with("sub/config.json"), "{}", path.display());
    assert_eq!((expected, actual), (13, 10));
    assert!(message.contains("sub/config.json"), "{message}");
    assert_eq!(files_below(&world.folder()), ["w.gguf"]);
    assert!(!world.notes().exists());
    // The next pull has only the rest to fetch.
    pull(&world, Fault::default()).unwrap();
}

#[test]
fn a_cut_transfer_is_continued() {
    let world = World::vague();
    fs::create_dir_all(world.folder()).unwrap();
    fs::write(world.folder().join("w.gguf"), &world.weights).unwrap();
    let fault = Fault {
        cut_after: Some(5),
        ..Fault::default()
    };
    let (hub, address) = Hub::start(&world, fault, |_| {});
    let local = registry(&world, &address)
        .pull(NAME, &mut NoProgress)
        .unwrap();
    assert_eq!(hub.starts_of(CONFIG), [0, 5]);
    let config = local.path("sub/config.json");
    assert_eq!(fs::read(config).unwrap(), world.config);
}

#[test]
fn what_an_earlier_process_left_of_it_is_not_used() {
    for part in [
        &b"{\"hid"[..],
        b"XXXXX",
        b"{\"hidden\": 3}",
        b"much too much for it",
    ] {
        let world = World::vague();
        let (hub, address) = Hub::start(&world, Fault::default(), |_| {});
        hub.leave_part_of(CONFIG, &world, part);
        let local = registry(&world, &address)
            .pull(NAME, &mut NoProgress)
            .unwrap();
        assert_eq!(hub.starts_of(CONFIG), [0]);
        let config = local.path("sub/config.json");
        assert_eq!(fs::read(config).unwrap(), world.config);
    }
}

#[test]
fn contents_must_have_the_hash_that_the_hub_gives() {
    let world = World::vague();
    // `printf '{"hidden": 3}' | git hash-object --stdin`, and its SHA-256.
    let git = "248e384886a3ace580de18156b8668201e1802fd";
    let sha256 = {
        let path = world.root.path().join("to-hash");
        fs::write(&path, &world.config).unwrap();
        sha256_of_file(&path).unwrap()
    };
    for wrong in ["0".repeat(40), "0".repeat(64), sha256.replace('a', "b")] {
        let world = World::vague();
        let fault = Fault {
            etag: Some(format!("\"{wrong}\"")),
            ..Fault::default()
        };
        let (error, message) = refusal(pull(&world, fault));
        let Error::HubSentOther { url, announced, .. } = error else {
            panic!("{error}")
        };
        assert!(url.ends_with("sub/config.json"), "{url}");
        assert_eq!(announced, wrong);
        assert!(message.contains("sub/config.json"), "{message}");
        assert_eq!(files_below(&world.folder()), ["w.gguf"]);
    }
    let (quoted, weak) = (format!("\"{sha256}\""), format!("W/\"{git}\""));
    for right in [&quoted, &weak, "\"5f3-18a\""] {
        let world = World::vague();
        let fault = Fault {
            etag: Some(right.to_owned()),
            ..Fault::default()
        };
        pull(&world, fault).unwrap_or_else(|error| panic!("{right}: {error}"));
    }
}

#[test]
fn the_file_of_another_commit_is_refused() {
    let world = World::vague();
    let fault = Fault {
        commit: Some("f".repeat(40)),
        ..Fault::default()
    };
    let (error, message) = refusal(pull(&world, fault));
    assert!(matches!(error, Error::HubOtherCommit { .. }), "{error}");
    for part in ["sub/config.json", COMMIT, &"f".repeat(40)] {
        assert!(message.contains(part), "{part} not in: {message}");
    }
    assert_eq!(files_below(&world.folder()), ["w.gguf"]);
}

#[test]
fn a_file_changed_afterwards_is_found_and_fetched_again() {
    let world = World::vague();
    let (hub, address) = Hub::start(&world, Fault::default(), |_| {});
    let registry = registry(&world, &address);
    let local = registry.pull(NAME, &mut NoProgress).unwrap();
    let config = local.path("sub/config.json");
    fs::write(&config, "{\"hidden\": 4}\n").unwrap();

    let error = registry.locate(NAME).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, Error::Changed { .. }), "{error}");
    for path in [&config, &world.notes()] {
        assert!(message.contains(path.to_str().unwrap()), "{message}");
    }
    assert!(matches!(registry.status(NAME), ModelStatus::Damaged { .. }));
    assert!(matches!(states(&registry)[1], FileState::Changed { .. }));
    let offline = Registry::open(RegistryOptions {
        offline: true,
        ..world.options(HUB_SOURCE)
    });
    let error = offline.unwrap().pull(NAME, &mut NoProgress).unwrap_err();
    assert!(matches!(error, Error::Changed { .. }), "{error}");

    registry.pull(NAME, &mut NoProgress).unwrap();
    assert_eq!(fs::read(&config).unwrap(), world.config);
    assert_eq!(hub.starts_of(CONFIG), [0, 0]);
}

#[test]
fn a_commit_cannot_have_other_contents_than_before() {
    let mut world = World::vague();
    pull(&world, Fault::default()).unwrap();
    fs::remove_file(world.folder().join("sub/config.json")).unwrap();
    world.config = b"{\"hidden\": 5}".to_vec();
    let (error, message) = refusal(pull(&world, Fault::default()));
    assert!(matches!(error, Error::WrongHash { .. }), "{error}");
    assert!(message.contains("sub/config.json"), "{message}");
    assert_eq!(files_below(&world.folder()), ["w.gguf"]);
}

#[test]
fn a_file_of_a_revision_that_the_list_left_is_fetched_again() {
    let world = World::vague();
    let (hub, address) = Hub::start(&world, Fault::default(), |_| {});
    let registry = registry(&world, &address);
    registry.pull(NAME, &mut NoProgress).unwrap();
    let notes = fs::read_to_string(world.notes()).unwrap();
    let old = "e".repeat(40);
    fs::write(world.notes(), notes.replace(COMMIT, &old)).unwrap();

    let error = registry.locate(NAME).unwrap_err();
    assert!(matches!(error, Error::OtherRevision { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("config.json") && message.contains(&old));
    registry.pull(NAME, &mut NoProgress).unwrap();
    assert_eq!(hub.starts_of(CONFIG), [0, 0]);
    assert_eq!(fs::read_to_string(world.notes()).unwrap(), notes);
}

#[test]
fn a_file_that_nobody_vouches_for_is_fetched_if_anything_is() {
    let world = World::vague();
    let config = world.folder().join("sub/config.json");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(&config, "{}").unwrap();
    pull(&world, Fault::default()).unwrap();
    assert_eq!(fs::read(&config).unwrap(), world.config);
}
