//! Answers that many routes may give, described once.

use std::collections::BTreeMap;

use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{ContentBuilder, Ref, RefOr};
use utoipa::{IntoResponses, ToSchema};

use crate::types::ErrorBody;

/// A type that stands for errors in a handler's description. There are no values of it.
macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident: $($status:literal $description:literal),+;)+) => {$(
        $(#[$doc])*
        pub(crate) enum $name {}

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                let errors = [$(($status, $description)),+];
                let errors = errors.map(|(status, description): (u16, &str)| {
                    (status.to_string(), RefOr::T(error(description)))
                });
                errors.into()
            }
        }
    )+};
}

errors! {
    /// The path names something.
    Unknown: 404 "There is no such bot, chat, document or job";
    /// The route has a body.
    Refused: 400 "What is asked for cannot be done; `detail` says why",
             413 "The body is too large",
             415 "The body does not say that it is JSON",
             422 "The body is not JSON, lacks a field, or has one that is not known";
    /// The route has a query.
    RefusedQuery: 422 "The query has a field that is not known, or a value that it cannot have";
    /// The route changes what others may be changing or using.
    Conflict: 409 "Something must be done first, or somebody else is at it; `detail` says what";
    /// The route has fields that are documented and not in this version.
    NotHere: 501 "A field asks for what is not in this version";
    /// The route needs a model.
    NoModel: 503 "The model is not at hand, or there is no room for it";
    /// The route reads a file.
    NotAllowed: 403 "The path is not in a directory that the operator allowed";
}

/// What may be answered to any request.
pub(super) fn failure() -> Response {
    error(
        "Any other error: a fault of the server, a host or origin that is not let in, an end of the server",
    )
}

fn error(description: &str) -> Response {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name(ErrorBody::name())));
    ResponseBuilder::new()
        .description(description)
        .content("application/json", body.build())
        .build()
}
