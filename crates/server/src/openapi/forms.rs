//! Bodies that are forms.
#![expect(dead_code, reason = "of these types only the schemas are used")]

use utoipa::ToSchema;

/// Files that are sent in.
#[derive(ToSchema)]
pub(crate) struct UploadForm {
    /// The files. Each part that has a file name is one, whatever it is called.
    file: Vec<SentBytes>,
    /// Whether the job also builds the bot.
    build: Option<bool>,
}

/// A file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
struct SentBytes(Vec<u8>);
