//! Whether the server runs. It touches neither store nor models.

use axum::Json;

use crate::types::Health;

pub(crate) async fn show() -> Json<Health> {
    Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    })
}
