//! Ten thousand clients at once, more than the server takes: those within its limit are answered, the
//! rest are turned away, and it goes on as before, in little memory.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Child;
use std::time::{Duration, Instant};

use longtrainer_tests::start_serve;

const CLIENTS: u64 = 10_000;
/// The server's limit, as it is by default.
const TAKEN: usize = 4096;
/// Files of this process that are no clients.
const OTHER_FILES: u64 = 64;
/// More memory than this for a connection would be a leak.
const BYTES_A_CLIENT: u64 = 32 << 10;
const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A server that is killed with the test.
struct Server(Child, String);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn connect(address: &str) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    let patience = Some(Duration::from_secs(20));
    client.set_read_timeout(patience).unwrap();
    client
}

/// What the server says to a client, up to the end of the connection.
fn said_to(mut client: &TcpStream) -> String {
    let mut said = Vec::new();
    // A client that is turned away without a word has its connection reset.
    let _ = client.write_all(HEALTH);
    let _ = client.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

/// Memory of a process in bytes; `None` where the system does not say it this way.
fn memory(process: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes << 10)
}

#[test]
fn ten_thousand_clients_do_no_harm() {
    // With fewer files than that there are fewer clients, still more than are taken.
    let files = rlimit::increase_nofile_limit(CLIENTS + OTHER_FILES).unwrap();
    let clients = CLIENTS.min(files.saturating_sub(OTHER_FILES)) as usize;
    let limit = TAKEN.min(clients / 2);
    let data = tempfile::tempdir().unwrap();
    let limit_flag = format!("--max-connections={limit}");
    let flags = ["--offline", "--quiet", "--header-timeout=5m", &limit_flag].map(OsStr::new);
    let (process, address) = start_serve(data.path(), &flags);
    let server = Server(process, address);
    let before = memory(&server.0);

    let mut taken: Vec<_> = (0..clients).map(|_| connect(&server.1)).collect();
    let too_many = taken.split_off(limit);
    if let (Some(before), Some(after)) = (before, memory(&server.0)) {
        let grown = after.saturating_sub(before);
        assert!(
            grown < clients as u64 * BYTES_A_CLIENT,
            "{grown} bytes more"
        );
    }
    let turned_away: Vec<_> = too_many.iter().map(said_to).collect();
    let is_refusal = |said: &&String| said.starts_with("HTTP/1.1 503");
    assert!(
        turned_away.iter().any(|said| is_refusal(&said)),
        "nobody was told"
    );
    let others = turned_away.iter().filter(|said| !is_refusal(said));
    // Who is one of very many is turned away without a word.
    others.for_each(|said| assert!(said.is_empty(), "{said}"));
    for client in &taken {
        let said = said_to(client);
        assert!(said.starts_with("HTTP/1.1 200"), "{said:?}");
    }
    drop((taken, too_many));
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        if said_to(&connect(&server.1)).starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(Instant::now() < patience, "no place is free again");
    }
}
