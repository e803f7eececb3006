//! The description of the interface, and a page on which a person reads it and tries it out.
//!
//! All that the page is made of is in this binary, and the page may load from nowhere else: its
//! Content-Security-Policy forbids it.

use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderName;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use utoipa_swagger_ui::Config;

use crate::api_error::ApiError;
use crate::ids::Ids;
use crate::openapi::Description;
use crate::openapi::parameters::OfAsset;
use crate::openapi::responses::Unknown;

/// Nothing that is not from this server, no script in the page itself, and the page in no other.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";
/// The files of Swagger UI that the page needs.
const ASSETS: [&str; 3] = [
    "swagger-ui.css",
    "swagger-ui-bundle.js",
    "favicon-32x32.png",
];

/// The description of this interface
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "describe",
    tag = "operation",
    responses((status = 200, description = "An OpenAPI document", body = Object)),
)]
pub(crate) async fn document(Extension(description): Extension<Description>) -> Response {
    ([(CACHE_CONTROL, "no-cache")], Json(&*description.0)).into_response()
}

/// A page on which the description is read and tried out
#[utoipa::path(
    get,
    path = "/docs",
    operation_id = "show_docs",
    tag = "operation",
    responses((status = 200, description = "A page", body = String, content_type = "text/html")),
)]
pub(crate) async fn page() -> Response {
    asset(
        "text/html; charset=utf-8",
        include_str!("docs/page.html").into(),
    )
}

/// A file of that page
#[utoipa::path(
    get,
    path = "/docs/{file}",
    operation_id = "show_docs_file",
    tag = "operation",
    params(OfAsset),
    responses(
        (status = 200, description = "The file", body = [u8], content_type = "application/octet-stream"),
        Unknown,
    ),
)]
pub(crate) async fn file(Ids(file): Ids<String>) -> Result<Response, ApiError> {
    if file == "start.js" {
        return Ok(asset(
            "text/javascript",
            include_str!("docs/start.js").into(),
        ));
    }
    let unknown = || ApiError::not_found(format!("the page has no file {file:?}"));
    if !ASSETS.contains(&file.as_str()) {
        return Err(unknown());
    }
    let found = utoipa_swagger_ui::serve(&file, Arc::new(Config::default()));
    let found = found.ok().flatten().ok_or_else(unknown)?;
    Ok(asset(&found.content_type, found.bytes.into_owned().into()))
}

fn asset(content_type: &str, body: Body) -> Response {
    let headers: [(HeaderName, &str); 5] = [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, body).into_response()
}
