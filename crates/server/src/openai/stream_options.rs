//! What a stream has beside its text.

use serde::Deserialize;

use super::error::OpenAiError;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
    /// Padding against those who listen to the lengths of packets; there is none.
    #[serde(default)]
    include_obfuscation: bool,
}

/// Whether the usage is wanted at the end of a stream.
pub(super) fn with_usage(
    options: Option<&StreamOptions>,
    stream: bool,
) -> Result<bool, OpenAiError> {
    let Some(options) = options else {
        return Ok(false);
    };
    if !stream {
        let message = "stream_options: only together with stream";
        return Err(OpenAiError::field("stream_options", message));
    }
    if options.include_obfuscation {
        let param = "stream_options.include_obfuscation";
        let message = format!("{param}: this server does not pad its streams");
        return Err(OpenAiError::unsupported(param, message));
    }
    Ok(options.include_usage)
}
