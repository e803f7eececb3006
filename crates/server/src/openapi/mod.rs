//! The description of the interface, made from the handlers: each carries its own, and a handler
//! becomes a route only together with it (see `routes`). So the two cannot part.

pub(crate) mod forms;
pub(crate) mod parameters;
pub(crate) mod responses;

use std::sync::Arc;

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, RefOr};
use utoipa::{Modify, OpenApi};

use crate::openai::{OpenAiErrorBody, is_openais};
use crate::types::{ErrorBody, ErrorEvent, SourcesEvent, TokenEvent, UsageBody};

/// What stands before the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Longtrainer",
        description = "Bots that answer from your own documents, with models that run on this \
                       machine.\n\nEvery answer carries `X-Request-Id`: the one that was sent, or a \
                       new one. An error's body has it, too, and so has the server's log.\n\nOnce \
                       a key was made, every request but those for `/health`, `/ready` and this \
                       description carries one.",
        license(name = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "bots", description = "Bots: made, built, changed, deleted"),
        (name = "documents", description = "What a bot answers from"),
        (name = "chats", description = "Questions and answers in text"),
        (name = "vision", description = "Questions about pictures"),
        (name = "jobs", description = "Work in the background"),
        (name = "models", description = "Models: fetched, loaded, unloaded"),
        (name = "keys", description = "API keys: made, listed, revoked, by the owner"),
        (name = "openai", description = "OpenAI's routes, for clients that speak its API"),
        (name = "operation", description = "Whether the server is up and ready, and its figures"),
    ),
    // Those that no handler's signature names.
    modifiers(&Keys),
    security(("X-API-Key" = []), ("Bearer" = []), ()),
    components(schemas(ErrorBody, ErrorEvent, OpenAiErrorBody, SourcesEvent, TokenEvent, UsageBody)),
)]
struct Head;

/// How a key is sent; while there is none, requests go without.
struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut Document) {
        let header = ApiKey::Header(ApiKeyValue::new("X-API-Key"));
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("X-API-Key", SecurityScheme::ApiKey(header));
        components.add_security_scheme("Bearer", SecurityScheme::Http(bearer));
    }
}

/// The description before any route is in it.
pub(crate) fn head() -> Document {
    Head::openapi()
}

/// The whole description.
#[derive(Clone)]
pub(crate) struct Description(pub(crate) Arc<Document>);

impl Description {
    /// Completes the description of the routes: what may be answered to any of them is not repeated
    /// at each.
    pub(crate) fn of(mut document: Document) -> Self {
        let paths = std::mem::take(&mut document.paths.paths).into_iter();
        // Where a part of a path is all the rest of it, only the router writes it so.
        let paths = paths.map(|(path, item)| (path.replace("{*", "{"), item));
        document.paths.paths = paths.collect();
        for (path, item) in &mut document.paths.paths {
            let of_any = match is_openais(path) {
                true => responses::failure::<OpenAiErrorBody>(),
                false => responses::failure::<ErrorBody>(),
            };
            for operation in operations(item) {
                let responses = &mut operation.responses.responses;
                let told = || RefOr::T(of_any.clone());
                responses.entry("default".to_owned()).or_insert_with(told);
            }
        }
        Self(Arc::new(document))
    }
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        put,
        post,
        delete,
        patch,
        ..
    } = path;
    [get, put, post, delete, patch].into_iter().flatten()
}
