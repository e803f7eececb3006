//! A small HTTP server on this machine that answers as a hub does, and badly.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{COMMIT, World};

const WEIGHTS: &str = "/weights/big.gguf";
pub(crate) const CONFIG: &str = "/sub/config.json";

/// How the hub misbehaves.
#[derive(Default)]
pub(crate) struct Fault {
    /// The first transfer of more than that many bytes is cut after them.
    pub(crate) cut_after: Option<usize>,
    /// Ranges are ignored in transfers.
    pub(crate) no_ranges: bool,
    /// Of the configuration so many bytes are sent, and nothing says that this is not all.
    pub(crate) short_config: Option<usize>,
    /// The configuration has this ETag.
    pub(crate) etag: Option<String>,
    /// Files are answered as those of this commit.
    pub(crate) commit: Option<String>,
}

pub(crate) struct Hub {
    files: HashMap<String, Vec<u8>>,
    fault: Fault,
    has_cut: AtomicBool,
    /// Path and range of each request.
    requests: Mutex<Vec<(String, String)>>,
}

impl Hub {
    /// Starts a hub that has the model's files; returns it and its address.
    pub(crate) fn start(
        world: &World,
        fault: Fault,
        change: impl Fn(&mut Vec<u8>),
    ) -> (Arc<Self>, String) {
        let mut weights = world.weights.clone();
        change(&mut weights);
        let base = format!("/owner/tiny/resolve/{COMMIT}");
        let hub = Arc::new(Self {
            files: HashMap::from([
                (format!("{base}{WEIGHTS}"), weights),
                (format!("{base}{CONFIG}"), world.config.clone()),
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
        let mut end = end.parse().map_or(bytes.len(), |last: usize| last + 1);
        if self.fault.no_ranges && end == bytes.len() {
            start = 0;
        }
        if start >= bytes.len() {
            return write!(
                stream,
                "HTTP/1.1 416 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            );
        }
        if path.ends_with(CONFIG) {
            end = end.min(self.fault.short_config.unwrap_or(end));
        }
        write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nETag: {}\r\n\
             X-Repo-Commit: {}\r\nContent-Range: bytes {start}-{}/{}\r\nContent-Length: {}\r\n\r\n",
            self.etag(&path),
            self.fault.commit.as_deref().unwrap_or(COMMIT),
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

    /// What a hub calls a file: large ones by SHA-256, small ones as Git does.
    fn etag(&self, path: &str) -> String {
        let bytes = &self.files[path];
        if path.ends_with(WEIGHTS) {
            return format!("\"{}\"", hex(&Sha256::digest(bytes)));
        }
        let own = || {
            let header = format!("blob {}\0", bytes.len());
            let hash = Sha1::new().chain_update(header).chain_update(bytes);
            format!("\"{}\"", hex(&hash.finalize()))
        };
        self.fault.etag.clone().unwrap_or_else(own)
    }

    /// Where each transfer of the weights began.
    pub(crate) fn starts_of_weights(&self) -> Vec<usize> {
        self.starts_of(WEIGHTS)
    }

    /// Where each transfer of a file began.
    pub(crate) fn starts_of(&self, name: &str) -> Vec<usize> {
        let requests = self.requests.lock().unwrap();
        let ranges = requests
            .iter()
            .filter(|(path, range)| path.ends_with(name) && range.ends_with('-'));
        ranges
            .map(|(_, range)| range.trim_end_matches('-').parse().unwrap())
            .collect()
    }

    /// How many requests there were.
    pub(crate) fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// Leaves a partial download of the weights where the hub's client keeps it.
    pub(crate) fn leave_part(&self, world: &World, bytes: &[u8]) {
        self.leave_part_of(WEIGHTS, world, bytes);
    }

    /// Leaves a partial download of a file where the hub's client keeps it.
    pub(crate) fn leave_part_of(&self, name: &str, world: &World, bytes: &[u8]) {
        let path = self.files.keys().find(|path| path.ends_with(name)).unwrap();
        let folder = name.trim_start_matches('/').replace('/', "--");
        let blobs = world
            .folder()
            .join(".hub-download")
            .join(folder)
            .join("models--owner--tiny/blobs");
        fs::create_dir_all(&blobs).unwrap();
        let etag = self.etag(path);
        let part = blobs.join(format!("{}.part", etag.trim_matches('"')));
        fs::write(part, bytes).unwrap();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
