//! Web pages of other origins: closed unless named.

use crate::fakes::World;
use crate::keys::key;
use crate::server::{Reply, TestServer};

const APP: &str = "https://app.example";

fn preflight(server: &TestServer, origin: &str) -> Reply {
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "x-api-key,content-type"),
    ];
    server.send("OPTIONS", "/bots", &headers, None)
}

fn allowed(reply: &Reply) -> Option<&str> {
    let value = reply.headers.get("access-control-allow-origin")?;
    Some(value.to_str().unwrap())
}

#[test]
fn a_named_origin_is_let_in_and_no_other() {
    let world = World::new();
    let owner = key(&world, "owner", None);
    let server = TestServer::over(world, |options| options.cors_origins = vec![APP.to_owned()]);
    let asked = preflight(&server, APP);
    assert_eq!((asked.status, allowed(&asked)), (200, Some(APP)));
    let names = asked.headers["access-control-allow-headers"]
        .to_str()
        .unwrap();
    assert!(
        names.contains("x-api-key") && names.contains("authorization"),
        "{names}"
    );
    assert!(
        !asked
            .headers
            .contains_key("access-control-allow-credentials")
    );
    let read = server.get_with("/bots", &[("Origin", APP), ("X-API-Key", &owner)]);
    assert_eq!((read.status, allowed(&read)), (200, Some(APP)));
    // A page must be able to read why it was refused.
    let refused = server.get_with("/bots", &[("Origin", APP)]);
    assert_eq!((refused.status, allowed(&refused)), (401, Some(APP)));
    for origin in ["https://evil.example", "http://app.example", "null"] {
        assert_eq!(allowed(&preflight(&server, origin)), None, "{origin}");
        let read = server.get_with("/bots", &[("Origin", origin), ("X-API-Key", &owner)]);
        assert_eq!(allowed(&read), None, "{origin}");
    }
}

#[test]
fn without_keys_a_named_origin_still_has_to_reach_this_machine() {
    let server = TestServer::over(World::new(), |options| {
        options.cors_origins = vec![APP.to_owned()];
    });
    server.get_with("/bots", &[("Origin", APP)]).ok();
    server
        .get_with("/bots", &[("Origin", "https://evil.example")])
        .refused(403);
    server
        .get_with("/bots", &[("Origin", APP), ("Host", "evil.example")])
        .refused(403);
}

#[test]
fn nothing_is_allowed_where_nothing_is_named() {
    let world = World::new();
    let owner = key(&world, "owner", None);
    let server = TestServer::over(world, |_| {});
    let asked = preflight(&server, APP);
    assert_eq!((asked.status, allowed(&asked)), (401, None));
    let read = server.get_with("/bots", &[("Origin", APP), ("X-API-Key", &owner)]);
    assert_eq!((read.status, allowed(&read)), (200, None));
}
