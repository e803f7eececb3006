//! Who may talk to the server: programs of this machine, not web pages.

use std::net::{IpAddr, Ipv4Addr};

use longtrainer_server::{Error, Server, ServerOptions};

use crate::fakes::World;
use crate::server::TestServer;

#[test]
fn a_name_that_is_not_loopback_is_refused() {
    let server = TestServer::start();
    for host in [
        "evil.example",
        "evil.example:8000",
        "192.168.0.7",
        "localhost.evil.example",
    ] {
        let reason = server.get_with("/health", &[("Host", host)]).refused(403);
        assert!(reason.contains(host), "{reason}");
    }
    for host in ["localhost", "LocalHost:1234", "127.0.0.1", "[::1]:8000"] {
        server.get_with("/health", &[("Host", host)]).ok();
    }
}

#[test]
fn a_page_of_another_origin_is_refused_and_gets_no_cors_header() {
    let server = TestServer::start();
    let own = format!("http://{}", server.address);
    for origin in ["https://evil.example", "http://localhost:3000", "null"] {
        server
            .post_raw("/bots", &[("Origin", origin)], b"")
            .refused(403);
    }
    assert!(server.world.trainer.list_bots().unwrap().is_empty());
    server.post_raw("/bots", &[("Origin", &own)], b"").ok();
    let answer = server
        .ask_raw(
            "/bots",
            &format!("Origin: {own}\r\nConnection: close\r\n"),
            &serde_json::json!({}),
        )
        .read_to_end();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        !answer.to_lowercase().contains("access-control"),
        "{answer}"
    );
}

#[test]
fn the_server_does_not_listen_where_others_can_reach_it_without_a_key() {
    let world = World::new();
    let options = ServerOptions {
        host: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        port: 0,
        ..ServerOptions::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bound = runtime.block_on(Server::bind(world.trainer.clone(), options.clone()));
    let error = bound.err().unwrap();
    assert!(matches!(error, Error::NoKeys { .. }), "{error}");
    let told = error.to_string();
    assert!(
        told.contains("0.0.0.0") && told.contains("longtrainer keys create"),
        "{told}"
    );
    let new = longtrainer::NewKey {
        name: "k".to_owned(),
        ..longtrainer::NewKey::default()
    };
    world.trainer.create_key(new).unwrap();
    let server = runtime
        .block_on(Server::bind(world.trainer.clone(), options))
        .unwrap();
    assert!(!server.greeting().contains("this machine only"));
    assert!(server.greeting().contains("need a key"));
}

#[test]
fn a_taken_port_is_named() {
    let server = TestServer::start();
    let options = ServerOptions {
        port: server.address.port(),
        ..ServerOptions::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bound = runtime.block_on(Server::bind(server.world.trainer.clone(), options));
    let error = bound.err().unwrap();
    assert!(
        error.to_string().contains(&server.address.to_string()),
        "{error}"
    );
}
