//! What the registry does with what is on this machine: finding, verifying, removing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use common::{HUB_SOURCE, NAME, PYTHON_SOURCE, World, files_below};
use longtrainer_models::{
    Error, FileState, ModelStatus, NoProgress, Registry, RegistryOptions, Role,
};

#[test]
fn the_default_models_are_known_by_role() {
    let registry = Registry::open(RegistryOptions::default()).unwrap();
    assert_eq!(
        registry.default_for(Role::Embedding).unwrap().name,
        "all-MiniLM-L6-v2"
    );
    assert_eq!(
        registry.default_for(Role::Text).unwrap().name,
        "SmolLM2-135M-Instruct-Q4_1"
    );
    assert_eq!(
        registry.default_for(Role::Vision).unwrap().name,
        "demo-vision"
    );
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let world = World::new();
    let registry = world.registry("");
    let message = registry.locate("tinny").unwrap_err().to_string();
    for name in ["tinny", NAME, "all-MiniLM-L6-v2"] {
        assert!(message.contains(name), "{message}");
    }
    assert_eq!(registry.status("tinny"), ModelStatus::Unknown);
}

#[test]
fn a_whole_model_is_found_in_its_folder() {
    let world = World::new();
    world.install(&world.folder());
    let local = world.registry("").locate(NAME).unwrap();
    assert_eq!(local.folder, world.folder());
    assert_eq!(fs::read(local.main_file()).unwrap(), world.weights);
    assert_eq!(
        fs::read(local.path("sub/config.json")).unwrap(),
        world.config
    );
    assert_eq!(
        local.weights_sha256(),
        longtrainer_models::sha256_of_file(&local.main_file()).unwrap()
    );
}

#[test]
fn loose_files_and_the_path_of_a_file_are_accepted() {
    let world = World::new();
    world.install(&world.models());
    assert_eq!(
        world.registry("").locate(NAME).unwrap().folder,
        world.models()
    );
    let mut options = world.options("");
    options.models_dir = Some(world.models().join("w.gguf"));
    let local = Registry::open(options).unwrap().locate(NAME).unwrap();
    assert_eq!(local.main_file(), world.models().join("w.gguf"));
}

#[test]
fn missing_files_are_listed_with_the_places_and_the_way_out() {
    let world = World::new();
    world.install(&world.folder());
    fs::remove_file(world.folder().join("sub/config.json")).unwrap();
    let error = world.registry("").locate(NAME).unwrap_err();
    let message = error.to_string();
    let Error::Missing {
        files,
        looked_in,
        folder,
        ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(files, ["sub/config.json"]);
    assert_eq!(looked_in, [world.folder(), world.models()]);
    assert_eq!(folder, world.folder());
    assert!(
        message.contains("longtrainer models pull tiny"),
        "{message}"
    );
    assert!(
        message.contains(world.folder().to_str().unwrap()),
        "{message}"
    );
}

#[test]
fn a_flipped_byte_is_found_even_after_a_stamp() {
    let world = World::new();
    world.install(&world.folder());
    let registry = world.registry("");
    let local = registry.locate(NAME).unwrap();
    let mut bytes = world.weights.clone();
    bytes[1000] ^= 1;
    fs::write(local.main_file(), bytes).unwrap();
    move_clock(&local.main_file(), 5);
    let error = registry.locate(NAME).unwrap_err();
    let message = error.to_string();
    let Error::WrongHash {
        path,
        expected,
        actual,
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(path, local.main_file());
    assert_eq!(expected, local.weights_sha256());
    assert_ne!(actual, expected);
    assert!(
        message.contains(&expected) && message.contains(&actual),
        "{message}"
    );
    assert!(matches!(registry.status(NAME), ModelStatus::Damaged { .. }));
}

#[test]
fn a_truncated_file_is_found() {
    let world = World::new();
    world.install(&world.folder());
    let file = File::options()
        .write(true)
        .open(world.folder().join("w.gguf"))
        .unwrap();
    file.set_len(10).unwrap();
    let error = world.registry("").locate(NAME).unwrap_err();
    assert!(
        matches!(
            &error,
            Error::WrongSize {
                actual: 10,
                expected: 800_000,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_damaged_loose_weight_is_not_called_missing() {
    let world = World::new();
    world.install(&world.models());
    fs::write(world.models().join("w.gguf"), "short").unwrap();
    let error = world.registry("").locate(NAME).unwrap_err();
    assert!(
        matches!(&error, Error::WrongSize { actual: 5, .. }),
        "{error}"
    );
}

#[test]
fn a_stamped_file_is_not_hashed_again_until_it_changes_and_verify_always_hashes() {
    let world = World::new();
    world.install(&world.folder());
    let registry = world.registry("");
    let weights = registry.locate(NAME).unwrap().main_file();
    // A change that keeps size and time is what a stamp cannot see: so none was computed here.
    let time = fs::metadata(&weights).unwrap().modified().unwrap();
    let mut bytes = world.weights.clone();
    bytes[7] ^= 1;
    fs::write(&weights, &bytes).unwrap();
    File::options()
        .write(true)
        .open(&weights)
        .unwrap()
        .set_modified(time)
        .unwrap();
    registry.locate(NAME).expect("the stamp is used");
    let report = registry.verify(NAME).unwrap();
    assert!(!report.is_whole());
    assert!(matches!(report.files[0].state, FileState::WrongHash { .. }));
    assert_eq!(report.files[1].state, FileState::Whole);
    // What verify found is remembered.
    assert!(matches!(
        registry.locate(NAME),
        Err(Error::WrongHash { .. })
    ));
}

#[test]
fn verify_reports_each_file() {
    let world = World::new();
    world.install(&world.folder());
    fs::remove_file(world.folder().join("sub/config.json")).unwrap();
    let report = world.registry("").verify(NAME).unwrap();
    let states: Vec<_> = report
        .files
        .into_iter()
        .map(|file| (file.file, file.state))
        .collect();
    assert_eq!(
        states,
        [
            ("w.gguf".to_owned(), FileState::Whole),
            ("sub/config.json".to_owned(), FileState::Missing)
        ]
    );
}

#[test]
fn files_put_there_by_hand_are_compared_with_what_they_were() {
    let world = World::vague();
    world.install(&world.folder());
    let registry = world.registry(HUB_SOURCE);
    let config = registry.locate(NAME).unwrap().path("sub/config.json");
    let notes = fs::read_to_string(world.notes()).unwrap();
    assert!(!notes.contains("fetched_from"), "{notes}");
    let states = |registry: &Registry| {
        let report = registry.verify(NAME).unwrap();
        report
            .files
            .into_iter()
            .map(|file| file.state)
            .collect::<Vec<_>>()
    };
    assert_eq!(states(&registry), [FileState::Whole, FileState::Unchanged]);

    fs::write(&config, "{\"hidden\": 4}").unwrap();
    move_clock(&config, 5);
    let error = registry.locate(NAME).unwrap_err();
    assert!(matches!(error, Error::Changed { .. }), "{error}");
    assert!(matches!(states(&registry)[1], FileState::Changed { .. }));
    // The way that the message tells: whoever changed the file says so.
    fs::remove_file(world.notes()).unwrap();
    registry.locate(NAME).unwrap();
    assert_eq!(states(&registry), [FileState::Whole, FileState::Unchanged]);

    registry.remove(NAME).unwrap();
    assert!(!world.notes().exists());
}

#[test]
fn loose_files_are_noted_only_beside_the_right_weights() {
    let world = World::vague();
    world.install(&world.models());
    let weights = world.models().join("w.gguf");
    let registry = world.registry(HUB_SOURCE);
    for wrong in [&b"short"[..], &vec![7; world.weights.len()]] {
        fs::write(&weights, wrong).unwrap();
        registry.locate(NAME).unwrap_err();
    }
    fs::remove_file(&weights).unwrap();
    registry.locate(NAME).unwrap_err();
    assert!(!world.notes().exists(), "somebody else's configuration");
    fs::write(&weights, &world.weights).unwrap();
    registry.locate(NAME).unwrap();
    let notes = fs::read_to_string(world.notes()).unwrap();
    assert!(notes.contains("sub/config.json"), "{notes}");
}

#[test]
fn a_folder_that_takes_no_notes_can_be_used() {
    let world = World::vague();
    world.install(&world.folder());
    // Stands for a read-only share, which is none for root: what must be opened first is no file.
    fs::create_dir(world.models().join(".tiny.lock")).unwrap();
    let registry = world.registry(HUB_SOURCE);
    registry.locate(NAME).unwrap();
    assert!(!world.notes().exists());
    let report = registry.verify(NAME).unwrap();
    assert!(report.is_whole());
    assert!(matches!(report.files[1].state, FileState::FirstSeen { .. }));
}

#[test]
fn notes_that_cannot_be_read_are_named_and_nothing_is_taken_on_trust() {
    let world = World::vague();
    world.install(&world.folder());
    let registry = world.registry(HUB_SOURCE);
    registry.locate(NAME).unwrap();
    fs::write(world.notes(), "not = [toml").unwrap();
    let errors = [
        registry.locate(NAME).unwrap_err(),
        registry.verify(NAME).unwrap_err(),
        registry.pull(NAME, &mut NoProgress).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::FirstSeen { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains(world.notes().to_str().unwrap()));
    }
}

#[test]
fn a_listed_hash_counts_whatever_was_noted() {
    let mut world = World::vague();
    world.install(&world.folder());
    let config = world.folder().join("sub/config.json");
    fs::write(&config, "{\"hidden\": 4}").unwrap();
    world.registry(HUB_SOURCE).locate(NAME).unwrap();
    world.lists_config = true;
    let error = world.registry(HUB_SOURCE).locate(NAME).unwrap_err();
    assert!(matches!(error, Error::WrongHash { .. }), "{error}");
}

#[test]
fn a_damaged_stamp_file_is_no_obstacle() {
    let world = World::new();
    world.install(&world.folder());
    let registry = world.registry("");
    fs::write(world.models().join(".tiny.verified.toml"), "not = [toml").unwrap();
    registry.locate(NAME).unwrap();
}

#[test]
fn offline_says_at_once_what_is_missing_and_starts_nothing() {
    let world = World::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let hub = "[[model.source]]\nkind = \"hub\"\nrepo = \"a/b\"\nrevision = \"main\"\n";
    let mut options = world.options(&format!("{hub}{PYTHON_SOURCE}"));
    options.offline = true;
    let registry = Registry::open(options)
        .unwrap()
        .with_python(world.python())
        .with_hub_endpoint(format!("http://{}", listener.local_addr().unwrap()));
    let error = registry.pull(NAME, &mut NoProgress).unwrap_err();
    let message = error.to_string();
    let Error::Offline {
        files, looked_in, ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(files, ["w.gguf", "sub/config.json"]);
    assert_eq!(looked_in, [world.folder(), world.models()]);
    assert!(message.contains("w.gguf") && message.contains(world.folder().to_str().unwrap()));
    assert_eq!(world.runs_of_python(), 0, "a process was started");
    assert!(listener.accept().is_err(), "a socket was opened");
    assert!(!world.models().exists(), "a folder was made");
}

#[test]
fn remove_takes_only_what_is_the_registrys() {
    let world = World::new();
    world.install(&world.folder());
    fs::write(world.folder().join("notes.txt"), "mine").unwrap();
    fs::write(world.folder().join(".w.gguf.part"), "half").unwrap();
    fs::write(world.models().join("w.gguf"), &world.weights).unwrap();
    let registry = world.registry("");
    registry.locate(NAME).unwrap();
    let freed = registry.remove(NAME).unwrap();
    assert_eq!(
        freed,
        (world.weights.len() + world.config.len() + "half".len()) as u64
    );
    assert_eq!(
        files_below(&world.models()),
        [".tiny.lock", "tiny/notes.txt", "w.gguf"]
    );
    assert_eq!(registry.remove(NAME).unwrap(), 0);
}

#[cfg(unix)]
#[test]
fn remove_does_not_follow_a_link_out_of_the_folder() {
    let world = World::new();
    let elsewhere = world.root.path().join("elsewhere");
    world.install(&elsewhere);
    fs::create_dir_all(world.models()).unwrap();
    std::os::unix::fs::symlink(&elsewhere, world.folder()).unwrap();
    let registry = world.registry("");
    registry.locate(NAME).unwrap();
    assert_eq!(registry.remove(NAME).unwrap(), 0);
    assert_eq!(files_below(&elsewhere), ["sub/config.json", "w.gguf"]);
    assert!(!world.folder().exists());
}

/// Sets a file's time some seconds ahead, for file systems with a coarse clock.
fn move_clock(path: &std::path::Path, seconds: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(seconds))
        .unwrap();
}
