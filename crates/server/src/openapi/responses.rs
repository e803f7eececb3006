//! Answers that many routes may give, described once.

use utoipa::ToSchema;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{ContentBuilder, Ref};

use crate::types::ErrorBody;

/// A type that stands for errors, all of them with the same body, in a handler's description. There are
/// no values of it.
macro_rules! errors {
    ($body:ty; $($(#[$doc:meta])* $visibility:vis $name:ident: $($status:literal $description:literal),+;)+) => {$(
        $(#[$doc])*
        $visibility enum $name {}

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<
                String,
                utoipa::openapi::RefOr<utoipa::openapi::Response>,
            > {
                let errors = [$(($status, $description)),+];
                let errors = errors.map(|(status, description): (u16, &str)| {
                    let error = $crate::openapi::responses::error::<$body>(description);
                    (status.to_string(), utoipa::openapi::RefOr::T(error))
                });
                errors.into()
            }
        }
    )+};
}
pub(crate) use errors;

errors! {
    ErrorBody;
    /// The path names something.
    pub(crate) Unknown: 404 "There is no such bot, chat, document or job";
    /// The body names a model.
    pub(crate) UnknownModel: 404 "There is no such model";
    /// The route has a body.
    pub(crate) Refused: 400 "What is asked for cannot be done; `detail` says why",
             413 "The body is too large",
             415 "The body does not say that it is JSON",
             422 "The body is not JSON, lacks a field, or has one that is not known";
    /// The route takes files.
    pub(crate) RefusedUpload: 400 "What is asked for cannot be done; `detail` says why",
                   408 "Nothing came for too long",
                   413 "A file, or all of it together, is too large",
                   415 "The body is neither JSON nor a form",
                   422 "There is no file, or a field that is not known";
    /// The route has a query.
    pub(crate) RefusedQuery: 422 "The query has a field that is not known, or a value that it cannot have";
    /// The route changes what others may be changing or using.
    pub(crate) Conflict: 409 "Something must be done first, or somebody else is at it; `detail` says what";
    /// The route has fields that are documented and not in this version.
    pub(crate) NotHere: 501 "A field asks for what is not in this version";
    /// The route needs a model.
    pub(crate) NoModel: 503 "The model is not at hand, or there is no room for it";
    /// The route is about what all tenants share.
    pub(crate) OwnersOnly: 403 "This is for the owner of the server: a key without a tenant";
    /// The route takes the id of a key.
    pub(crate) UnknownKey: 404 "There is no such key";
    /// The route reads a file.
    pub(crate) NotAllowed: 403 "The path is not in a directory that the operator allowed";
}

/// What may be answered to any request.
pub(super) fn failure<B: ToSchema>() -> Response {
    error::<B>(
        "Any other error: a missing key (401), a wrong one (403; below /v1 401), more requests than it \
         may send (429, with Retry-After), a host or origin that is not let in (403), a fault of the \
         server (500), a full queue or the end of the server (503)",
    )
}

/// An error with this body.
pub(crate) fn error<B: ToSchema>(description: &str) -> Response {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name(B::name())));
    ResponseBuilder::new()
        .description(description)
        .content("application/json", body.build())
        .build()
}
