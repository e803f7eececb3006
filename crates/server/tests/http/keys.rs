//! Keys: who gets in with them, what they are told otherwise, and how keys come and go.

use jiff::{SignedDuration, Timestamp};
use longtrainer::NewKey;
use serde_json::json;

use crate::fakes::{World, eventually};
use crate::server::TestServer;

/// Makes a key through the facade and gives its text.
pub(crate) fn key(world: &World, name: &str, tenant: Option<&str>) -> String {
    let new = NewKey {
        name: name.to_owned(),
        tenant: tenant.map(|tenant| tenant.parse().unwrap()),
        expires_at: None,
    };
    let (key, _) = world.trainer.create_key(new).unwrap();
    key.as_str().to_owned()
}

/// A server that needs keys, and an owner's key.
fn locked() -> (TestServer, String) {
    let world = World::new();
    let owner = key(&world, "owner", None);
    (TestServer::over(world, |_| {}), owner)
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

#[test]
fn a_key_comes_in_by_either_header_and_no_other_way() {
    let (server, owner) = locked();
    server.get_with("/bots", &[("X-API-Key", &owner)]).ok();
    let authorization = bearer(&owner);
    server
        .get_with("/bots", &[("Authorization", &authorization)])
        .ok();
    let missing = server.get("/bots");
    assert_eq!(missing.headers["www-authenticate"], "Bearer");
    assert_eq!(missing.refused(401), "Missing X-API-Key header.");
    let basic = server.get_with("/bots", &[("Authorization", "Basic YTpi")]);
    assert_eq!(basic.refused(401), "Missing X-API-Key header.");
    assert_eq!(
        server.get(&format!("/bots?key={owner}")).refused(401),
        "Missing X-API-Key header."
    );
    let forged = format!("{}{}", &owner[..owner.len() - 64], "0".repeat(64));
    for wrong in ["", "x", &forged, &owner[1..], "lt-0000000000000000-1"] {
        let refused = server.get_with("/bots", &[("X-API-Key", wrong)]);
        assert_eq!(refused.refused(403), "Invalid API key.", "{wrong:?}");
    }
}

#[test]
fn below_v1_a_refusal_has_openais_shape() {
    let (server, _) = locked();
    for headers in [&[][..], &[("Authorization", "Bearer sk-wrong")]] {
        let reply = server.get_with("/v1/models", headers);
        assert_eq!(reply.status, 401, "{reply:?}");
        let error = reply.json()["error"].clone();
        assert_eq!(error["type"], "invalid_request_error", "{error}");
        assert!(error["message"].as_str().unwrap().contains("API key"));
        assert_eq!(error["code"], "invalid_api_key");
    }
}

#[test]
fn health_is_open_and_nothing_else_tells_anything() {
    let (server, owner) = locked();
    assert_eq!(server.get("/health").ok()["status"], "ok");
    // A route that is not there is no secret, but who asks must have a key.
    server.get("/nowhere").refused(401);
    server
        .get_with("/nowhere", &[("X-API-Key", &owner)])
        .refused(404);
    // A name that leads to this machine (DNS rebinding) gets nothing without a key.
    let host = ("Host", "evil.example");
    server.get_with("/bots", &[host]).refused(401);
    server
        .get_with("/bots", &[host, ("X-API-Key", &owner)])
        .ok();
    // A page of another origin may send what it likes, and never reads an answer.
    let foreign = server.get_with(
        "/bots",
        &[("Origin", "https://evil.example"), ("X-API-Key", &owner)],
    );
    let cors = foreign
        .headers
        .keys()
        .any(|n| n.as_str().contains("access-control"));
    assert!(!cors, "{foreign:?}");
}

#[test]
fn keys_can_be_asked_for_where_none_was_made() {
    let options = longtrainer_server::ServerOptions {
        require_keys: true,
        port: 0,
        ..Default::default()
    };
    let world = World::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bound = longtrainer_server::Server::bind(world.trainer.clone(), options);
    let error = runtime.block_on(bound).err().unwrap();
    assert!(error.to_string().contains("keys create"), "{error}");
}

#[test]
fn expired_and_revoked_keys_are_wrong_ones() {
    let world = World::new();
    let owner = key(&world, "owner", None);
    let soon = Timestamp::now() + SignedDuration::from_millis(400);
    let guest = NewKey {
        name: "guest".to_owned(),
        tenant: None,
        expires_at: Some(soon),
    };
    let (guest, _) = world.trainer.create_key(guest).unwrap();
    let server = TestServer::over(world, |_| {});
    let with = |key: &str| server.get_with("/bots", &[("X-API-Key", key)]);
    with(guest.as_str()).ok();
    eventually("the key expires", || with(guest.as_str()).status != 200);
    assert_eq!(with(guest.as_str()).refused(403), "Invalid API key.");
    // A running server is told by its owner.
    let id = owner.split('-').nth(1).unwrap();
    let headers = [("X-API-Key", owner.as_str())];
    let revoked = server
        .send("DELETE", &format!("/keys/{id}"), &headers, None)
        .ok();
    assert!(revoked["revoked_at"].is_string(), "{revoked}");
    assert_eq!(with(&owner).refused(403), "Invalid API key.");
    // The last key is gone, and the doors are shut.
    server.get("/bots").refused(401);
}

#[test]
fn the_owner_makes_lists_and_revokes_keys_while_the_server_runs() {
    let server = TestServer::start();
    server.get("/bots").ok();
    let made = server.post("/keys", &json!({"name": "owner"})).ok();
    let owner = made["key"].as_str().unwrap().to_owned();
    // From the first key on, keys are needed.
    server.get("/bots").refused(401);
    let headers = [("X-API-Key", owner.as_str())];
    let body = json!({"name": "ci", "tenant": "acme", "expires_at": "2999-01-01T00:00:00Z"});
    let tenant = server.send("POST", "/keys", &headers, Some(&body)).ok();
    let listed = server.get_with("/keys", &headers).ok();
    let listed = listed["keys"].as_array().unwrap();
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!(listed[1]["tenant"], "acme");
    assert!(
        listed
            .iter()
            .all(|key| key.get("key").is_none() && key.get("sha256").is_none())
    );
    let tenant_key = tenant["key"].as_str().unwrap();
    let theirs = [("X-API-Key", tenant_key)];
    let new = json!({"name": "x"});
    for (method, path, body) in [
        ("GET", "/keys", None),
        ("POST", "/keys", Some(&new)),
        ("DELETE", "/keys/0", None),
    ] {
        server.send(method, path, &theirs, body).refused(403);
    }
    for (body, status) in [
        (json!({}), 422),
        (json!({"name": " "}), 400),
        (json!({"name": "a", "tenant": "a b"}), 422),
        (
            json!({"name": "a", "expires_at": "2001-01-01T00:00:00Z"}),
            400,
        ),
        (json!({"name": "a", "role": "admin"}), 422),
    ] {
        server
            .send("POST", "/keys", &headers, Some(&body))
            .refused(status);
    }
    server
        .send("DELETE", "/keys/0000", &headers, None)
        .refused(404);
}

#[test]
fn the_use_of_a_key_is_noted() {
    let (server, owner) = locked();
    let headers = [("X-API-Key", owner.as_str())];
    let used = || server.get_with("/keys", &headers).ok()["keys"][0]["last_used_at"].is_string();
    eventually("the use is noted", used);
}
