//! Where a folder keeps its chat template: newer ones in a file of its own, older ones among the settings
//! of the processor or the tokenizer.

use serde_json::Value;

use super::{Fields, HubFolder};
use crate::Result;

const FIELD: &str = "chat_template";

/// The template, if the folder has one.
pub(crate) fn chat_template(folder: &HubFolder) -> Result<Option<String>> {
    if let Some(template) = folder.text("chat_template.jinja")? {
        return Ok(Some(template));
    }
    for name in [
        "chat_template.json",
        "processor_config.json",
        "tokenizer_config.json",
    ] {
        if let Some(fields) = folder.optional(name)?
            && let Some(template) = fields.value(FIELD)
        {
            return default(&fields, template).map(Some);
        }
    }
    Ok(None)
}

/// A template, or the one named `default` of a list.
fn default(fields: &Fields, template: &Value) -> Result<String> {
    let named = |entry: &&Value| entry["name"] == "default";
    let listed = template.as_array().and_then(|list| {
        let entry = list.iter().find(named)?;
        entry["template"].as_str()
    });
    let text = template.as_str().or(listed);
    let text =
        text.ok_or_else(|| fields.bad(FIELD, "is neither a text nor a list with a default"))?;
    Ok(text.to_owned())
}
