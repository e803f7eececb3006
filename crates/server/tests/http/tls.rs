//! TLS over real connections.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use longtrainer_server::TlsFiles;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::fakes::{Behaviour, World};
use crate::keys::key;
use crate::server::TestServer;

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A server with a certificate of its own for `localhost`, and the certificate.
fn encrypted(world: World) -> (TestServer, CertificateDer<'static>, tempfile::TempDir) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let files = TlsFiles {
        certificate: write("cert.pem", made.cert.pem()),
        key: write("key.pem", made.signing_key.serialize_pem()),
    };
    let server = TestServer::over(world, |options| {
        options.tls = Some(files);
        options.header_timeout = Duration::from_secs(2);
    });
    (server, made.cert.der().clone(), folder)
}

/// A client that trusts this certificate alone.
fn connect(server: &TestServer, trusted: Option<&CertificateDer<'static>>) -> Stream {
    let mut roots = RootCertStore::empty();
    if let Some(certificate) = trusted {
        roots.add(certificate.clone()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(server.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    StreamOwned::new(client, stream)
}

fn get(mut stream: Stream, path: &str, headers: &str) -> std::io::Result<String> {
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n"
    )?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

#[test]
fn requests_and_answers_go_through_tls() {
    let world = World::new();
    let owner = key(&world, "owner", None);
    let (server, certificate, _folder) = encrypted(world);
    let ask = |path: &str, headers: &str| get(connect(&server, Some(&certificate)), path, headers);
    assert!(ask("/health", "").unwrap().starts_with("HTTP/1.1 200"));
    assert!(ask("/bots", "").unwrap().starts_with("HTTP/1.1 401"));
    let headers = format!("X-API-Key: {owner}\r\n");
    assert!(ask("/bots", &headers).unwrap().starts_with("HTTP/1.1 200"));
}

#[test]
fn who_does_not_know_the_certificate_and_who_speaks_plainly_gets_nothing() {
    let (server, certificate, _folder) = encrypted(World::new());
    let error = get(connect(&server, None), "/health", "").unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    let mut plain = TcpStream::connect(server.address).unwrap();
    plain
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    plain
        .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
    // One that connects and says nothing is dropped.
    let mut silent = TcpStream::connect(server.address).unwrap();
    silent
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert_eq!(silent.read(&mut [0; 8]).unwrap(), 0);
    let good = get(connect(&server, Some(&certificate)), "/health", "").unwrap();
    assert!(good.starts_with("HTTP/1.1 200"));
}

#[test]
fn a_stream_over_tls_ends_cleanly_when_the_server_stops() {
    let (server, certificate, _folder) = encrypted(World::new());
    let bot = server
        .world
        .bot(&["The lighthouse keeper is called Ingrid."]);
    let chat = server.world.trainer.new_chat(&bot).unwrap();
    server.behave(Behaviour::Ramble);
    let mut stream = connect(&server, Some(&certificate));
    let body = "{\"query\": \"Who?\"}";
    write!(
        stream,
        "POST /bots/{bot}/chats/{chat} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut said = [0; 64];
    stream.read_exact(&mut said).unwrap();
    assert!(said.starts_with(b"HTTP/1.1 200"));
    server.tell_to_stop();
    server.tell_to_stop();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.contains("the server is stopping"), "{rest}");
}
