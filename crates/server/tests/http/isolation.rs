//! Tenants: every route of the server is tried with another tenant's key. A route that is missing
//! from the table here fails a test.

use std::collections::BTreeSet;

use longtrainer::{BotOptions, ImageInput, JobTask, Order, ResponseOptions};
use serde_json::{Value, json};

use crate::fakes::{World, bitmap, documents};
use crate::keys::key;
use crate::server::{Reply, TestServer};

/// A file that is sent in.
const FORM: &str = "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\
                    Content-Type: application/octet-stream\r\n\r\nmore\r\n--XX--\r\n";

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

/// A route, what whoever owns what it names is answered, and the body for that.
struct Route {
    method: &'static str,
    path: &'static str,
    kind: Kind,
    /// The status for whoever may.
    status: u16,
    body: fn(&Things) -> Body,
}

/// What a request carries.
enum Body {
    Nothing,
    Json(Value),
    /// A file that is sent in.
    File,
}

impl Route {
    const fn with(mut self, body: fn(&Things) -> Body) -> Self {
        self.body = body;
        self
    }

    /// A status other than 200 for whoever may.
    const fn answers(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

const fn route(method: &'static str, path: &'static str, kind: Kind) -> Route {
    Route {
        method,
        path,
        kind,
        status: 200,
        body: |_| Body::Nothing,
    }
}

/// The title of a chat.
fn title(_: &Things) -> Body {
    Body::Json(json!({"title": "mine"}))
}

/// A model that there is not: whoever may ask for it is told so.
fn no_model(_: &Things) -> Body {
    Body::Json(json!({"model": "nothing"}))
}

/// A question for a bot, as OpenAI's clients ask it.
fn chat(things: &Things) -> Body {
    let messages = json!([{"role": "user", "content": "Who?"}]);
    Body::Json(json!({"model": things.bot, "messages": messages}))
}

use Kind::{Named, NotHere, Open, Own, Owner};

/// Every route there is; what deletes comes last.
const ROUTES: &[Route] = &[
    route("GET", "/health", Open),
    route("GET", "/ready", Open),
    route("GET", "/docs", Open),
    route("GET", "/docs/{file}", Open),
    route("GET", "/openapi.json", Open),
    route("GET", "/metrics", Owner),
    route("GET", "/keys", Owner),
    route("POST", "/keys", Owner).with(|_| Body::Json(json!({"name": "x"}))),
    // The id is one that no key has.
    route("DELETE", "/keys/{key_id}", Owner).answers(404),
    route("GET", "/models", Own),
    route("POST", "/models/pull", Owner)
        .answers(404)
        .with(no_model),
    route("POST", "/models/load", Owner)
        .answers(404)
        .with(no_model),
    route("POST", "/models/unload", Owner)
        .answers(404)
        .with(no_model),
    route("GET", "/bots", Own),
    route("POST", "/bots", Own),
    route("GET", "/bots/{bot_id}", Named),
    route("PATCH", "/bots/{bot_id}", Named).with(|_| Body::Json(json!({"num_k": 2}))),
    route("POST", "/bots/{bot_id}/build", Named),
    route("POST", "/bots/{bot_id}/load", Named),
    route("PUT", "/bots/{bot_id}/prompt", Named)
        .with(|_| Body::Json(json!({"prompt_template": "Mine: {context}"}))),
    route("GET", "/bots/{bot_id}/documents", Named),
    route("POST", "/bots/{bot_id}/documents/path", Named)
        .with(|things| Body::Json(json!({"path": things.file}))),
    // The link leads to this machine, where nobody may send the server.
    route("POST", "/bots/{bot_id}/documents/link", Named)
        .answers(400)
        .with(|_| Body::Json(json!({"links": ["http://127.0.0.1:9/"]}))),
    route("POST", "/bots/{bot_id}/documents/query", NotHere).answers(501),
    route("POST", "/bots/{bot_id}/documents/upload", Named)
        .answers(202)
        .with(|_| Body::File),
    route("POST", "/bots/{bot_id}/vectorstore", Named)
        .with(|_| Body::Json(json!({"query": "Ingrid"}))),
    route("GET", "/bots/{bot_id}/jobs", Named),
    route("GET", "/jobs", Own),
    route("GET", "/jobs/{job_id}", Named),
    route("POST", "/jobs/{job_id}/cancel", Named),
    // It has been cancelled already.
    route("DELETE", "/jobs/{job_id}", Named).answers(409),
    route("GET", "/bots/{bot_id}/chats", Named),
    route("GET", "/bots/{bot_id}/chats/search", Named),
    route("GET", "/bots/{bot_id}/chats/export", Named),
    route("POST", "/bots/{bot_id}/chats", Named),
    route("POST", "/bots/{bot_id}/chats/{chat_id}", Named)
        .with(|_| Body::Json(json!({"query": "Who?"}))),
    route("GET", "/chats/{chat_id}", Named),
    route("GET", "/chats/{chat_id}/export", Named),
    route("PATCH", "/chats/{chat_id}", Named).with(title),
    route("POST", "/bots/{bot_id}/train-chats", Named),
    route("POST", "/bots/{bot_id}/vision-chats", Named),
    route(
        "POST",
        "/bots/{bot_id}/vision-chats/{vision_chat_id}",
        Named,
    )
    .with(|_| Body::Json(json!({"query": "What?", "image_paths": []}))),
    route("GET", "/vision-chats/{vision_chat_id}", Named),
    route("GET", "/vision-chats/{vision_chat_id}/export", Named),
    route(
        "GET",
        "/vision-chats/{vision_chat_id}/pictures/{sha256}",
        Named,
    ),
    route("PATCH", "/vision-chats/{vision_chat_id}", Named).with(title),
    route("GET", "/v1/models", Own),
    route("GET", "/v1/models/{model}", Named),
    route("POST", "/v1/chat/completions", Named).with(chat),
    route("POST", "/v1/responses", Named)
        .with(|things| Body::Json(json!({"model": things.bot, "input": "Who?"}))),
    // No bot goes on with texts or makes vectors, whether it is there or not.
    route("POST", "/v1/completions", Own)
        .answers(400)
        .with(|things| Body::Json(json!({"model": things.bot, "prompt": "Who"}))),
    route("POST", "/v1/embeddings", Own)
        .answers(400)
        .with(|things| Body::Json(json!({"model": things.bot, "input": "Who"}))),
    route("POST", "/bots/{bot_id}/reindex", Named).answers(202),
    route("GET", "/bots/{bot_id}/documents/{document_id}", Named),
    route("PUT", "/bots/{bot_id}/documents/{document_id}", Named)
        .with(|_| Body::Json(json!({"page_content": "Mine now."}))),
    // It has been replaced.
    route("DELETE", "/bots/{bot_id}/documents/{document_id}", Named).answers(404),
    route("DELETE", "/vision-chats/{vision_chat_id}", Named),
    route("DELETE", "/chats/{chat_id}", Named),
    route("DELETE", "/bots/{bot_id}", Named),
];

/// One of everything that a tenant, or the owner, can have.
struct Things {
    key: String,
    bot: String,
    chat: String,
    vision_chat: String,
    job: String,
    document: String,
    picture: String,
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
        trainer
            .get_vision_response(
                "What?",
                [ImageInput::bytes("red.bmp", bitmap([200, 30, 30]))],
                &bot,
                &vision_chat,
                ResponseOptions::default(),
            )
            .unwrap();
        let turns = trainer
            .get_vision_chat_by_id(&vision_chat, Order::Oldest)
            .unwrap();
        // Nobody does it, so it waits.
        let job = trainer
            .begin_job(&JobTask::Build {
                bot_id: bot.clone(),
            })
            .unwrap();
        Self {
            key: key(world, "test", tenant),
            bot: bot.to_string(),
            chat: chat.to_string(),
            vision_chat: vision_chat.to_string(),
            job: job.job_id,
            document: added[0].to_string(),
            picture: turns[0].pictures[0].sha256.clone(),
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
            picture: "00".repeat(32),
            file: file.to_owned(),
        }
    }

    /// The path of a route about these.
    fn path(&self, route: &Route) -> String {
        let path = match route.path.ends_with("/search") {
            true => format!("{}?q=Ingrid", route.path),
            false => route.path.to_owned(),
        };
        path.replace("{bot_id}", &self.bot)
            .replace("{vision_chat_id}", &self.vision_chat)
            .replace("{chat_id}", &self.chat)
            .replace("{job_id}", &self.job)
            .replace("{document_id}", &self.document)
            .replace("{sha256}", &self.picture)
            .replace("{model}", &self.bot)
            .replace("{file}", "start.js")
            .replace("{key_id}", "0000000000000000")
    }

    /// A reason with the ids taken out, so that it can be compared with that for others.
    fn without_ids(&self, reason: &str) -> String {
        [
            &self.bot,
            &self.chat,
            &self.vision_chat,
            &self.job,
            &self.picture,
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
        self.send_with(route, &[("X-API-Key", key)], about)
    }

    fn send_with(&self, route: &Route, headers: &[(&str, &str)], about: &Things) -> Reply {
        let path = about.path(route);
        match (route.body)(about) {
            Body::Nothing => self.server.send(route.method, &path, headers, None),
            Body::Json(body) => self.server.send(route.method, &path, headers, Some(&body)),
            Body::File => {
                let kind = ("Content-Type", "multipart/form-data; boundary=XX");
                let headers = [headers, &[kind]].concat();
                self.server.post_raw(&path, &headers, FORM.as_bytes())
            }
        }
    }

    /// All that the owner sees of what somebody has.
    fn state(&self, of: &Things) -> Vec<String> {
        ROUTES
            .iter()
            .filter(|route| route.method == "GET" && route.kind == Named)
            .map(|route| {
                let reply = self.send(route, &self.owner.key, of);
                assert_eq!(reply.status, 200, "{}: {reply:?}", route.path);
                reply.body
            })
            .collect()
    }
}

/// The routes that the server describes, which are all that it has: (method, path).
fn described(server: &TestServer) -> BTreeSet<(String, String)> {
    let document = server.get("/openapi.json").ok();
    let paths = document["paths"].as_object().unwrap();
    let routes = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(move |method| (method.to_uppercase(), path.clone()))
    });
    routes.collect()
}

/// Why a request is refused, in either form of errors.
fn reason(reply: &Reply) -> String {
    let body = reply.json();
    let told = body["detail"].as_str();
    told.or(body["error"]["message"].as_str())
        .unwrap_or_else(|| panic!("{reply:?}"))
        .to_owned()
}

#[test]
fn every_route_is_in_the_table() {
    let table: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| (route.method.to_owned(), route.path.to_owned()))
        .collect();
    assert_eq!(table.len(), ROUTES.len(), "a route is there twice");
    let described = described(&TestServer::start());
    let missing: Vec<_> = described.difference(&table).collect();
    let gone: Vec<_> = table.difference(&described).collect();
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
        for route in ROUTES.iter().filter(|route| route.kind == Named) {
            let what = format!("{} {}", route.method, route.path);
            let refused = house.send(route, &house.zeta.key, theirs);
            assert_eq!(refused.status, 404, "{what}: {refused:?}");
            let unknown = house.send(route, &house.zeta.key, &nothing);
            assert_eq!(unknown.status, 404, "{what}: {unknown:?}");
            assert_eq!(
                theirs.without_ids(&reason(&refused)),
                nothing.without_ids(&reason(&unknown)),
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
                Owner if *key == house.acme.key => 403,
                _ => route.status,
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
        let reply = house.send_with(route, &[], &house.acme);
        let expected = match route.kind {
            Open => route.status,
            _ => 401,
        };
        assert_eq!(reply.status, expected, "{} {}", route.method, route.path);
    }
    assert_eq!(house.state(&house.acme), before);
}
