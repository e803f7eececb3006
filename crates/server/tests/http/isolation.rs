//! Tenants: every route of the server is tried with another tenant's key. A route that is missing
//! from the table here fails a test.

use std::collections::BTreeSet;
use std::path::Path;

use longtrainer::{BotOptions, ResponseOptions};
use serde_json::{Value, json};

use crate::fakes::{World, documents};
use crate::keys::key;
use crate::server::{Reply, TestServer};

/// How a route deals with what belongs to a tenant.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// It names something; what is another tenant's is not found.
    Named,
    /// It tells or makes only what is the sender's own.
    Own,
    /// It is the owner's alone.
    Owner,
    /// It is open to all and tells nothing of what is stored.
    Open,
    /// It does nothing yet, for anybody.
    NotHere,
}

/// A route, with a body that succeeds for whoever owns what the path names.
struct Route {
    method: &'static str,
    path: &'static str,
    kind: Kind,
    body: fn(&Things) -> Option<Value>,
}

const fn route(
    method: &'static str,
    path: &'static str,
    kind: Kind,
    body: fn(&Things) -> Option<Value>,
) -> Route {
    Route {
        method,
        path,
        kind,
        body,
    }
}

const NO_BODY: fn(&Things) -> Option<Value> = |_| None;

/// Every route there is; what deletes comes last.
const ROUTES: &[Route] = &[
    route("GET", "/health", Kind::Open, NO_BODY),
    route("GET", "/keys", Kind::Owner, NO_BODY),
    route("POST", "/keys", Kind::Owner, |_| Some(json!({"name": "x"}))),
    route("DELETE", "/keys/{key_id}", Kind::Owner, NO_BODY),
    route("GET", "/bots", Kind::Own, NO_BODY),
    route("POST", "/bots", Kind::Own, NO_BODY),
    route("GET", "/bots/{bot_id}", Kind::Named, NO_BODY),
    route("POST", "/bots/{bot_id}/build", Kind::Named, NO_BODY),
    route("POST", "/bots/{bot_id}/load", Kind::Named, NO_BODY),
    route("PUT", "/bots/{bot_id}/prompt", Kind::Named, |_| {
        Some(json!({"prompt_template": "Mine: {context}"}))
    }),
    route("GET", "/bots/{bot_id}/documents", Kind::Named, NO_BODY),
    route("POST", "/bots/{bot_id}/documents/path", Kind::Named, |t| {
        Some(json!({"path": t.file}))
    }),
    route(
        "POST",
        "/bots/{bot_id}/documents/link",
        Kind::NotHere,
        |_| Some(json!({"links": []})),
    ),
    route(
        "POST",
        "/bots/{bot_id}/documents/query",
        Kind::NotHere,
        |_| Some(json!({"search_query": "x"})),
    ),
    route("POST", "/bots/{bot_id}/vectorstore", Kind::Named, |_| {
        Some(json!({"query": "Ingrid"}))
    }),
    route("GET", "/bots/{bot_id}/jobs", Kind::Named, NO_BODY),
    route("GET", "/jobs/{job_id}", Kind::Named, NO_BODY),
    route("GET", "/bots/{bot_id}/chats", Kind::Named, NO_BODY),
    route("POST", "/bots/{bot_id}/chats", Kind::Named, NO_BODY),
    route(
        "POST",
        "/bots/{bot_id}/chats/{chat_id}",
        Kind::Named,
        |_| Some(json!({"query": "Who?"})),
    ),
    route("GET", "/chats/{chat_id}", Kind::Named, NO_BODY),
    route("PATCH", "/chats/{chat_id}", Kind::Named, |_| {
        Some(json!({"title": "mine"}))
    }),
    route("POST", "/bots/{bot_id}/train-chats", Kind::Named, NO_BODY),
    route("POST", "/bots/{bot_id}/vision-chats", Kind::Named, NO_BODY),
    route(
        "POST",
        "/bots/{bot_id}/vision-chats/{vision_chat_id}",
        Kind::Named,
        |_| Some(json!({"query": "What?", "image_paths": []})),
    ),
    route(
        "GET",
        "/vision-chats/{vision_chat_id}",
        Kind::Named,
        NO_BODY,
    ),
    route(
        "PATCH",
        "/vision-chats/{vision_chat_id}",
        Kind::Named,
        |_| Some(json!({"title": "mine"})),
    ),
    route(
        "DELETE",
        "/vision-chats/{vision_chat_id}",
        Kind::Named,
        NO_BODY,
    ),
    route("DELETE", "/chats/{chat_id}", Kind::Named, NO_BODY),
    route(
        "DELETE",
        "/bots/{bot_id}/documents/{document_id}",
        Kind::Named,
        NO_BODY,
    ),
    route("DELETE", "/bots/{bot_id}", Kind::Named, NO_BODY),
];

/// One of everything that a tenant, or the owner, can have.
struct Things {
    key: String,
    bot: String,
    chat: String,
    vision_chat: String,
    job: String,
    document: String,
    file: String,
}

impl Things {
    fn make(world: &World, tenant: Option<&str>, file: &str) -> Self {
        let trainer = match tenant {
            Some(tenant) => world.trainer.for_tenant(&tenant.parse().unwrap()).unwrap(),
            None => world.trainer.clone(),
        };
        let bot = trainer.initialize_bot_id().unwrap();
        let texts = documents(&["The lighthouse keeper is called Ingrid."]);
        let added = trainer.pass_documents(texts, &bot).unwrap().added;
        trainer.create_bot(&bot, BotOptions::default()).unwrap();
        let chat = trainer.new_chat(&bot).unwrap();
        trainer
            .get_response("Who?", &bot, &chat, ResponseOptions::default())
            .unwrap();
        let vision_chat = trainer.new_vision_chat(&bot).unwrap();
        let job = trainer.create_job(&bot, "document_ingest").unwrap();
        Self {
            key: key(world, "test", tenant),
            bot: bot.to_string(),
            chat: chat.to_string(),
            vision_chat: vision_chat.to_string(),
            job: job.job_id,
            document: added[0].to_string(),
            file: file.to_owned(),
        }
    }

    /// Ids of the right form that nothing has.
    fn nothing(file: &str) -> Self {
        let uuid = "00000000-0000-4000-8000-000000000000";
        Self {
            key: String::new(),
            bot: format!("bot-{uuid}"),
            chat: format!("chat-{uuid}"),
            vision_chat: format!("vision-{uuid}"),
            job: uuid.to_owned(),
            document: "999999".to_owned(),
            file: file.to_owned(),
        }
    }

    /// The path of a route about these.
    fn path(&self, route: &Route) -> String {
        route
            .path
            .replace("{bot_id}", &self.bot)
            .replace("{vision_chat_id}", &self.vision_chat)
            .replace("{chat_id}", &self.chat)
            .replace("{job_id}", &self.job)
            .replace("{document_id}", &self.document)
            .replace("{key_id}", "0000000000000000")
    }

    /// A reason with the ids taken out, so that it can be compared with that for others.
    fn without_ids(&self, reason: &str) -> String {
        [
            &self.bot,
            &self.chat,
            &self.vision_chat,
            &self.job,
            &self.document,
        ]
        .into_iter()
        .fold(reason.to_owned(), |text, id| text.replace(id.as_str(), "*"))
    }
}

/// A server on which two tenants and the owner have one of everything.
struct House {
    server: TestServer,
    acme: Things,
    zeta: Things,
    owner: Things,
    _allowed: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let allowed = tempfile::tempdir().unwrap();
        let file = allowed.path().join("a.txt");
        std::fs::write(&file, "more").unwrap();
        let file = file.display().to_string();
        let world = World::new();
        let [acme, zeta, owner] =
            [Some("acme"), Some("zeta"), None].map(|tenant| Things::make(&world, tenant, &file));
        let folder = allowed.path().to_owned();
        Self {
            server: TestServer::over(world, |options| options.allow_dirs.push(folder)),
            acme,
            zeta,
            owner,
            _allowed: allowed,
        }
    }

    fn send(&self, route: &Route, key: &str, about: &Things) -> Reply {
        let body = (route.body)(about);
        self.server.send(
            route.method,
            &about.path(route),
            &[("X-API-Key", key)],
            body.as_ref(),
        )
    }

    /// All that the owner sees of what somebody has.
    fn state(&self, of: &Things) -> Vec<Value> {
        ROUTES
            .iter()
            .filter(|route| route.method == "GET" && route.kind == Kind::Named)
            .map(|route| self.send(route, &self.owner.key, of).ok())
            .collect()
    }
}

/// The routes of the server, read out of its source: (method, path).
fn routes_in_source() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                collect_routes(&std::fs::read_to_string(path).unwrap(), &mut found);
            }
        }
    }
    found
}

fn collect_routes(source: &str, found: &mut BTreeSet<(String, String)>) {
    for call in source.split(".route(").skip(1) {
        let (arguments, _) = call.split_at(end_of_call(call));
        let (path, handlers) = arguments.split_once(',').unwrap();
        let path = path.trim();
        let path = match path.strip_prefix('"') {
            Some(text) => text.trim_end_matches('"').to_owned(),
            None => constant(source, path),
        };
        for method in ["get", "post", "put", "patch", "delete"] {
            let called = format!("{method}(");
            if handlers
                .split(['.', ' ', '\n', ','])
                .any(|part| part.starts_with(&called))
            {
                found.insert((method.to_uppercase(), path.clone()));
            }
        }
    }
}

/// Where the parenthesis closes that is open at the start.
fn end_of_call(text: &str) -> usize {
    let mut open = 1;
    text.find(|c| {
        open += i32::from(c == '(') - i32::from(c == ')');
        open == 0
    })
    .unwrap()
}

/// The text of a constant of this source.
fn constant(source: &str, name: &str) -> String {
    let (_, rest) = source
        .split_once(&format!("const {name}: &str = \""))
        .unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn every_route_is_in_the_table() {
    let table: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| (route.method.to_owned(), route.path.to_owned()))
        .collect();
    assert_eq!(table.len(), ROUTES.len(), "a route is there twice");
    let source = routes_in_source();
    assert!(source.len() > 20, "{source:?}");
    let missing: Vec<_> = source.difference(&table).collect();
    let gone: Vec<_> = table.difference(&source).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "missing: {missing:?}, gone: {gone:?}"
    );
}

#[test]
fn no_route_shows_or_changes_what_is_another_tenants() {
    let house = House::new();
    let nothing = Things::nothing(&house.acme.file);
    let before = [&house.acme, &house.owner].map(|theirs| house.state(theirs));
    for theirs in [&house.acme, &house.owner] {
        for route in ROUTES.iter().filter(|route| route.kind == Kind::Named) {
            let what = format!("{} {}", route.method, route.path);
            let refused = house.send(route, &house.zeta.key, theirs);
            assert_eq!(refused.status, 404, "{what}: {refused:?}");
            let unknown = house.send(route, &house.zeta.key, &nothing).refused(404);
            assert_eq!(
                theirs.without_ids(&refused.refused(404)),
                nothing.without_ids(&unknown),
                "{what}: what is there answers otherwise than what is not"
            );
        }
    }
    let after = [&house.acme, &house.owner].map(|theirs| house.state(theirs));
    assert_eq!(after, before);
}

#[test]
fn ids_of_two_tenants_do_not_mix() {
    let house = House::new();
    for (path, body) in [
        (
            format!("/bots/{}/chats/{}", house.zeta.bot, house.acme.chat),
            json!({"query": "Who?"}),
        ),
        (
            format!(
                "/bots/{}/vision-chats/{}",
                house.zeta.bot, house.acme.vision_chat
            ),
            json!({"query": "Who?", "image_paths": []}),
        ),
    ] {
        house
            .server
            .send(
                "POST",
                &path,
                &[("X-API-Key", &house.zeta.key)],
                Some(&body),
            )
            .refused(404);
    }
    let document = format!("/bots/{}/documents/{}", house.zeta.bot, house.acme.document);
    house
        .server
        .send("DELETE", &document, &[("X-API-Key", &house.zeta.key)], None)
        .refused(404);
}

#[test]
fn a_tenant_uses_every_route_on_its_own_and_the_owner_on_all() {
    let house = House::new();
    for (key, about) in [
        (&house.acme.key, &house.acme),
        (&house.owner.key, &house.zeta),
        (&house.owner.key, &house.owner),
    ] {
        for route in ROUTES {
            let reply = house.send(route, key, about);
            let expected = match route.kind {
                Kind::Owner if *key == house.acme.key => 403,
                // The id is one that no key has.
                Kind::Owner if route.method == "DELETE" => 404,
                Kind::NotHere => 501,
                _ => 200,
            };
            assert_eq!(
                reply.status, expected,
                "{} {}: {reply:?}",
                route.method, route.path
            );
        }
    }
}

#[test]
fn a_tenant_lists_and_makes_its_own_bots() {
    let house = House::new();
    let headers = [("X-API-Key", house.acme.key.as_str())];
    let made = house.server.send("POST", "/bots", &headers, None).ok();
    let listed = |key: &str| {
        let reply = house.server.get_with("/bots", &[("X-API-Key", key)]).ok();
        let ids = reply["bots"].as_array().unwrap().iter();
        ids.map(|bot| bot["bot_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let new = made["bot_id"].as_str().unwrap();
    assert_eq!(listed(&house.acme.key), [house.acme.bot.as_str(), new]);
    assert_eq!(listed(&house.zeta.key), [house.zeta.bot.as_str()]);
    assert_eq!(listed(&house.owner.key).len(), 4);
}

#[test]
fn without_a_key_no_route_does_anything() {
    let house = House::new();
    let before = house.state(&house.acme);
    for route in ROUTES {
        let body = (route.body)(&house.acme);
        let path = house.acme.path(route);
        let reply = house.server.send(route.method, &path, &[], body.as_ref());
        let expected = if route.kind == Kind::Open { 200 } else { 401 };
        assert_eq!(reply.status, expected, "{} {}", route.method, route.path);
    }
    assert_eq!(house.state(&house.acme), before);
}
