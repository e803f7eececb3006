//! `keys`, and `serve --check`.

use serde_json::Value;

use crate::world::{World, text_of};

fn state_of(world: &World, name: &str) -> Value {
    let keys = world.json(&["keys", "list", "--json"]);
    let mut keys = keys.as_array().unwrap().iter();
    keys.find(|key| key["name"] == name).unwrap().clone()
}

#[test]
fn a_key_is_shown_once_and_listed_without_its_secret() {
    let world = World::new();
    let run = world
        .run(&["keys", "create", "--name", "laptop"])
        .expect(0, &["not shown again"]);
    let key = run.stdout.trim();
    let (prefix, rest) = key.split_once('-').unwrap();
    let (id, secret) = rest.split_once('-').unwrap();
    assert_eq!((prefix, id.len(), secret.len()), ("lt", 16, 64));
    let guest = [
        "keys",
        "create",
        "--name",
        "guest",
        "--tenant",
        "acme",
        "--expires",
        "90d",
    ];
    world.ok(&guest);
    for listing in [
        world.ok(&["keys", "list"]),
        world.ok(&["keys", "list", "--json"]),
    ] {
        assert!(
            listing.contains(id) && listing.contains("acme"),
            "{listing}"
        );
        assert!(!listing.contains(&secret[..16]), "{listing}");
    }
    let laptop = state_of(&world, "laptop");
    assert!(
        laptop["expires_at"].is_null() && laptop.get("tenant").is_none(),
        "{laptop}"
    );
    let guest = state_of(&world, "guest");
    assert_eq!(guest["tenant"], "acme");
    assert!(guest["expires_at"].is_string(), "{guest}");

    world.run(&["keys", "revoke", id]).expect(0, &["laptop"]);
    assert!(state_of(&world, "laptop")["revoked_at"].is_string());
    assert!(world.ok(&["keys", "list"]).contains("revoked "));
}

#[test]
fn what_cannot_be_a_key_is_refused() {
    let world = World::new();
    world.run(&["keys", "create"]).expect(2, &["--name"]);
    world
        .run(&["keys", "create", "--name", " "])
        .expect(4, &["name"]);
    world
        .run(&["keys", "create", "--name", "a", "--tenant", "a/b"])
        .expect(2, &["tenant"]);
    for expires in ["soon", "0d", "90"] {
        world
            .run(&["keys", "create", "--name", "a", "--expires", expires])
            .expect(2, &["--expires"]);
    }
    world
        .run(&["keys", "revoke", "0000000000000000"])
        .expect(3, &["0000000000000000"]);
    assert_eq!(
        world.json(&["keys", "list", "--json"]),
        serde_json::json!([])
    );
}

#[test]
fn a_check_tells_what_would_be_used_and_makes_nothing() {
    let world = World::new();
    let told = world.ok(&["serve", "--check", "--port", "0", "--header-timeout", "5s"]);
    for part in [
        "host = \"127.0.0.1\"",
        "port = 0",
        "header_timeout = \"5s\"",
        "keys: none",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!world.data().exists());

    // Flags over the environment over the file, and the text is a file again.
    world.write(
        "data/longtrainer.toml",
        "[retrieval]\nnum_k = 7\n[serve]\nport = 0\nbody_timeout = \"7s\"\nmax_connections = 5\n",
    );
    let mut command = world.command(&["serve", "--check", "--max-connections", "9"]);
    let output = command
        .env("LONGTRAINER_MAX_CONNECTIONS", "8")
        .env("LONGTRAINER_BODY_TIMEOUT", "8s")
        .env("LONGTRAINER_ALLOW_DIRS", world.data())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    for part in [
        "max_connections = 9",
        "body_timeout = \"8s\"",
        "num_k = 7",
        "port = 0",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(told.contains(&text_of(&world.data())), "{told}");
    world.write("again.toml", &told);
    let again = world.ok(&["--config", "again.toml", "serve", "--check"]);
    let settings = |text: &str| text.split_once("\n\n").unwrap().1.to_owned();
    assert_eq!(settings(&again), settings(&told));
}

#[test]
fn a_check_says_what_is_wrong() {
    let world = World::new();
    for (flags, code, words) in [
        (
            &["--host", "0.0.0.0"][..],
            4,
            &["0.0.0.0", "longtrainer keys create"][..],
        ),
        (&["--require-keys"], 4, &["longtrainer keys create"]),
        (&["--tls-cert", "c.pem"], 4, &["tls_key"]),
        (
            &["--tls-cert", "c.pem", "--tls-key", "k.pem"],
            4,
            &["c.pem"],
        ),
        (&["--cors-origin", "*"], 4, &["\"*\""]),
        (&["--allow-dir", "missing-folder"], 4, &["missing-folder"]),
        (&["--write-timeout", "0s"], 4, &["write_timeout"]),
        (&["--host", "example.org"], 2, &["example.org"]),
        (&["--requests-per-minute", "0"], 2, &["requests-per-minute"]),
    ] {
        let all = [&["serve", "--check", "--port", "0"], flags].concat();
        world.run(&all).expect(code, words);
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    world
        .run(&["serve", "--check", "--port", &port])
        .expect(5, &[&port]);
    world.write("data/longtrainer.toml", "[serve]\nprot = 1\n");
    world
        .run(&["serve", "--check"])
        .expect(4, &["longtrainer.toml", "prot"]);
}

#[test]
fn a_check_looks_at_the_keys() {
    let world = World::new();
    world.ok(&["keys", "create", "--name", "laptop"]);
    let check = ["serve", "--check", "--host", "0.0.0.0", "--port", "0"];
    let told = world.ok(&check);
    assert!(told.contains("1 good, 0 expired or revoked"), "{told}");
    // Beside a running server everything but the keys is checked.
    let library = world.library();
    let told = world.ok(&check);
    assert!(told.contains("another process"), "{told}");
    world.run(&["keys", "list"]).expect(5, &["POST /keys"]);
    drop(library);
}
