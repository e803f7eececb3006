//! Pulling from a hub: a small HTTP server on this machine that answers as a hub does, and badly.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![cfg(all(feature = "hub", unix))]

mod common;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::{NAME, PYTHON_SOURCE, Told, World, files_below};
use longtrainer_models::{Error, NoProgress, Registry};

const HUB_SOURCE: &str = "[[model.source]]\nkind = \"hub\"\nrepo = \"owner/tiny\"\n\
                          revision = \"abc123\"\nmap = { \"w.gguf\" = \"weights/big.gguf\" }\n";

/// How the hub misbehaves.
#[derive(Default)]
struct Fault {
    /// The first transfer of more than that many bytes is cut after them.
    cut_after: Option<usize>,
    /// Ranges are ignored in transfers.
    no_ranges: bool,
}

struct Hub {
    files: HashMap<String, Vec<u8>>,
    fault: Fault,
    has_cut: AtomicBool,
    /// Path and range of each request.
    requests: Mutex<Vec<(String, String)>>,
}

impl Hub {
    /// Starts a hub that has the model's files; returns it and its address.
    fn start(world: &World, fault: Fault, change: impl Fn(&mut Vec<u8>)) -> (Arc<Self>, String) {
        let mut weights = world.weights.clone();
        change(&mut weights);
        let base = "/owner/tiny/resolve/abc123";
        let hub = Arc::new(Self {
            files: HashMap::from([
                (format!("{base}/weights/big.gguf"), weights),
                (format!("{base}/sub/config.json"), world.config.clone()),
            ]),
            fault,
            has_cut: AtomicBool::new(false),
            requests: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = Arc::clone(&hub);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = server.answer(stream.unwrap());
            }
        });
        (hub, address)
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let (path, range) = read_request(&stream)?;
        self.requests
            .lock()
            .unwrap()
            .push((path.clone(), range.clone()));
        let Some(bytes) = self.files.get(&path) else {
            return write!(
                stream,
                "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            );
        };
        let (start, end) = range.split_once('-').unwrap();
        let mut start: usize = start.parse().unwrap();
        let end = end.parse().map_or(bytes.len(), |last: usize| last + 1);
        if self.fault.no_ranges && end == bytes.len() {
            start = 0;
        }
        if start >= bytes.len() {
            return write!(
                stream,
                "HTTP/1.1 416 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            );
        }
        write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nETag: \"{}\"\r\n\
             X-Repo-Commit: abc123\r\nContent-Range: bytes {start}-{}/{}\r\nContent-Length: {}\r\n\r\n",
            path.len(),
            end - 1,
            bytes.len(),
            end - start
        )?;
        match self.fault.cut_after {
            Some(limit) if end - start > limit && !self.has_cut.swap(true, Ordering::SeqCst) => {
                stream.write_all(&bytes[start..start + limit])
            }
            _ => stream.write_all(&bytes[start..end]),
        }
    }

    /// Where each transfer of the weights began.
    fn starts_of_weights(&self) -> Vec<usize> {
        let requests = self.requests.lock().unwrap();
        let ranges = requests
            .iter()
            .filter(|(path, range)| path.ends_with("big.gguf") && range.ends_with('-'));
        ranges
            .map(|(_, range)| range.trim_end_matches('-').parse().unwrap())
            .collect()
    }
}

fn read_request(stream: &TcpStream) -> std::io::Result<(String, String)> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap()?;
    let mut range = String::new();
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            range = value.to_owned();
        }
    }
    Ok((first.split(' ').nth(1).unwrap().to_owned(), range))
}

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
    leave_part(&world, &hub, &world.weights[..300_000]);
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
        leave_part(&world, &hub, &part);
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
    leave_part(&world, &hub, &world.weights[..300_000]);
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
            "hub repository owner/tiny@abc123",
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

/// Leaves a partial download of the weights where the hub's client keeps it.
fn leave_part(world: &World, hub: &Hub, bytes: &[u8]) {
    let path = hub
        .files
        .keys()
        .find(|path| path.ends_with("big.gguf"))
        .unwrap();
    let blobs = world
        .folder()
        .join(".hub-download/weights--big.gguf/models--owner--tiny/blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(format!("{}.part", path.len())), bytes).unwrap();
}
