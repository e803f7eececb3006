//! Links: followed to public addresses, refused where they lead elsewhere, and never for ever.
#![cfg(feature = "links")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use longtrainer_documents::{
    Document, Error, LinkError, LinkOptions, LinkPolicy, LoadOptions, Resolve, load_link,
    load_link_with,
};

/// A server on loopback that answers with what it was told, by path.
struct Site {
    address: SocketAddr,
    /// The requests that it has had, head and all.
    seen: Arc<Mutex<Vec<String>>>,
}

type Answers = fn(&str, &mut TcpStream);

impl Site {
    fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = Arc::clone(&log);
                std::thread::spawn(move || serve(stream, &log, answers));
            }
        });
        Self { address, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn port(&self) -> u16 {
        self.address.port()
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<String>>, answers: Answers) {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    log.lock().unwrap().push(head);
    answers(&path, &mut stream);
}

fn say(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
}

fn redirect(stream: &mut TcpStream, to: &str) {
    say(stream, "302 Found", &format!("Location: {to}\r\n"), b"");
}

/// Gives each name its addresses, one after another if it is asked again.
#[derive(Default)]
struct Names {
    addresses: HashMap<&'static str, Vec<Vec<SocketAddr>>>,
    asked: AtomicUsize,
}

impl Names {
    fn of(names: &[(&'static str, &[SocketAddr])]) -> Arc<Self> {
        let mut all: HashMap<_, Vec<Vec<SocketAddr>>> = HashMap::new();
        for (name, addresses) in names {
            all.entry(*name).or_default().push(addresses.to_vec());
        }
        Arc::new(Self {
            addresses: all,
            asked: AtomicUsize::new(0),
        })
    }
}

impl Resolve for Names {
    fn resolve(&self, host: &str, _port: u16) -> std::io::Result<Vec<SocketAddr>> {
        let time = self.asked.fetch_add(1, Ordering::SeqCst);
        let answers = self
            .addresses
            .get(host)
            .ok_or(std::io::ErrorKind::NotFound)?;
        Ok(answers[time.min(answers.len() - 1)].clone())
    }
}

/// Follows a link to hosts that are all allowed by name.
fn follow(url: &str, names: Arc<Names>) -> Result<Vec<Document>, Error> {
    let mut options = LinkOptions::default();
    for host in names
        .addresses
        .keys()
        .filter(|host| host.ends_with(".open"))
    {
        options.policy = options.policy.allow_host(host);
    }
    load_link_with(url, &options, &LoadOptions::default(), names)
}

/// Why a link was not followed.
#[track_caller]
fn why_not(result: Result<Vec<Document>, Error>) -> LinkError {
    match result {
        Err(Error::Link { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_page_is_read_under_its_address() {
    let site = Site::start(|_, stream| {
        let headers = "Content-Type: text/html; charset=iso-8859-1\r\n";
        say(
            stream,
            "200 OK",
            headers,
            b"<title>T\xfcr</title><p>Gr\xfc\xdfe</p>",
        );
    });
    let names = Names::of(&[("site.open", &[site.address])]);
    let url = format!("http://site.open:{}/page?x=1#part", site.port());
    let documents = follow(&url, names).unwrap();
    assert_eq!(documents.len(), 1);
    assert_eq!(documents[0].page_content, "Grüße");
    assert_eq!(documents[0].metadata["source"], url);
    assert_eq!(documents[0].metadata["title"], "Tür");
    let seen = site.seen();
    assert!(
        seen[0].starts_with("GET /page?x=1 HTTP/1.1\r\n"),
        "{seen:?}"
    );
    assert!(
        seen[0]
            .to_lowercase()
            .contains(&format!("host: site.open:{}", site.port())),
        "{seen:?}"
    );
}

#[test]
fn nothing_on_this_machine_or_its_network_is_asked() {
    let site = Site::start(|_, stream| say(stream, "200 OK", "", b"secret"));
    let port = site.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "localhost",
        "LOCALHOST.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
        "[::]",
        "169.254.169.254",
        "10.0.0.1",
        "[fd00:ec2::254]",
        "[fe80::1]",
    ] {
        let url = format!("http://{host}:{port}/");
        let refused = load_link(&url, &LinkOptions::default(), &LoadOptions::default());
        let error = why_not(refused);
        assert!(
            matches!(
                error,
                LinkError::Forbidden { .. } | LinkError::NotFound { .. }
            ),
            "{host}: {error}"
        );
    }
    assert!(site.seen().is_empty());
}

#[test]
fn a_name_with_a_private_address_is_refused_even_beside_a_public_one() {
    let site = Site::start(|_, stream| say(stream, "200 OK", "", b"secret"));
    let public = SocketAddr::from(([8, 8, 8, 8], 80));
    let names = Names::of(&[("both.example", &[public, site.address])]);
    let error = why_not(follow("http://both.example/", names));
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    assert!(site.seen().is_empty());
}

#[test]
fn a_name_that_changes_its_address_gains_nothing() {
    let site = Site::start(|_, stream| say(stream, "200 OK", "", b"secret"));
    // Allowed when it is checked, elsewhere the next time it is asked for: it is not asked again.
    let names = Arc::new(Names {
        addresses: HashMap::from([(
            "twice.open",
            vec![
                vec![site.address],
                vec![SocketAddr::from(([127, 0, 0, 1], 1))],
            ],
        )]),
        asked: AtomicUsize::new(0),
    });
    let url = format!("http://twice.open:{}/a.txt", site.port());
    assert_eq!(
        follow(&url, Arc::clone(&names)).unwrap()[0].page_content,
        "secret"
    );
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);
}

#[test]
fn every_redirect_is_checked_like_a_link() {
    let site = Site::start(|path, stream| match path {
        "/there" => redirect(stream, "/page.txt"),
        "/page.txt" => say(stream, "200 OK", "", b"found"),
        "/loop" => redirect(stream, "/loop"),
        "/nowhere" => say(stream, "302 Found", "", b""),
        to => redirect(stream, to.strip_prefix("/to?").unwrap()),
    });
    let inside = Site::start(|_, stream| say(stream, "200 OK", "", b"secret"));
    let names = || {
        Names::of(&[
            ("site.open", &[site.address]),
            ("inside.example", &[inside.address]),
        ])
    };
    let at = |path: &str| follow(&format!("http://site.open:{}{path}", site.port()), names());
    assert_eq!(at("/there").unwrap()[0].page_content, "found");
    for host in [
        "127.0.0.1",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "inside.example",
    ] {
        let to = format!("/to?http://{host}:{}/", inside.port());
        let error = why_not(at(&to));
        assert!(
            matches!(error, LinkError::Forbidden { .. }),
            "{host}: {error}"
        );
    }
    assert!(inside.seen().is_empty());
    for (path, part) in [
        ("/loop", "more than 5 times"),
        ("/nowhere", "redirects to"),
        ("/to?file:///etc/passwd", "file:///etc/passwd"),
        ("/to?ftp://site.open/", "ftp"),
        ("/to?http://a:b@site.open/", "redirects to"),
    ] {
        let error = why_not(at(path));
        assert!(error.to_string().contains(part), "{path}: {error}");
    }
}

#[test]
fn what_is_no_usable_answer_is_an_error_that_says_why() {
    let site = Site::start(|path, stream| match path {
        "/gone" => say(stream, "404 Not Found", "", b"no"),
        "/picture" => say(stream, "200 OK", "Content-Type: image/png\r\n", b"\x89PNG"),
        "/promised" => say(stream, "200 OK", "", &[b'x'; 2000]),
        "/endless.txt" => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
        }
        "/empty.txt" => say(stream, "200 OK", "", b""),
        _ => drop(stream.write_all(b"this is no HTTP\r\n\r\n")),
    });
    let names = || Names::of(&[("site.open", &[site.address])]);
    let options = LinkOptions {
        policy: LinkPolicy::default().allow_host("site.open"),
        ..LinkOptions::default()
    };
    let limits = LoadOptions {
        max_file_bytes: 1000,
        ..LoadOptions::default()
    };
    for (path, part) in [
        ("/gone", "status 404"),
        ("/picture", "image/png"),
        ("/promised", "1000 bytes"),
        ("/endless.txt", "1000 bytes"),
        ("/other", "the connection failed"),
    ] {
        let url = format!("http://site.open:{}{path}", site.port());
        let error = why_not(load_link_with(&url, &options, &limits, names()));
        assert!(error.to_string().contains(part), "{path}: {error}");
    }
    let url = format!("http://site.open:{}/empty.txt", site.port());
    let empty = load_link_with(&url, &options, &limits, names()).unwrap_err();
    assert!(matches!(empty, Error::Empty { .. }), "{empty}");
    assert!(empty.to_string().contains(&url), "{empty}");
    let error = why_not(follow("http://unknown.example/", names()));
    assert!(
        error.to_string().contains("unknown.example was not found"),
        "{error}"
    );
}

#[test]
fn a_server_that_dawdles_is_not_waited_for() {
    let site = Site::start(|path, stream| {
        let head: &[u8] = match path {
            "/body-in-drops.txt" => b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n",
            _ => b"HTTP/1.1 200 OK\r\nX-Slow: ",
        };
        let _ = stream.write_all(head);
        // A byte now and then, so that no single read takes long.
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    struct Slow;
    impl Resolve for Slow {
        fn resolve(&self, _: &str, _: u16) -> std::io::Result<Vec<SocketAddr>> {
            std::thread::sleep(Duration::from_secs(5));
            Ok(Vec::new())
        }
    }
    let options = LinkOptions {
        policy: LinkPolicy::default().allow_host("site.open"),
        max_time: Duration::from_millis(400),
        ..LinkOptions::default()
    };
    let limits = LoadOptions::default();
    let names = || Names::of(&[("site.open", &[site.address])]);
    let began = Instant::now();
    for path in ["/body-in-drops.txt", "/head-in-drops.txt"] {
        let url = format!("http://site.open:{}{path}", site.port());
        let error = why_not(load_link_with(&url, &options, &limits, names()));
        assert!(
            matches!(error, LinkError::TimedOut { .. }),
            "{path}: {error}"
        );
    }
    let error = why_not(load_link_with(
        "http://x.example/",
        &options,
        &limits,
        Arc::new(Slow),
    ));
    assert!(matches!(error, LinkError::TimedOut { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(4));
}
