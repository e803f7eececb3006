//! The hash by which a bot knows a document again.
//!
//! It covers metadata and text, so that the same text from another file is another document. The
//! metadata is hashed as JSON with the keys of every object sorted: the order in which a loader
//! happens to write them makes no other document.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::records::NewDocument;
use crate::tables::Hash;

/// Most levels of arrays and objects in metadata. serde_json reads back 128, record included.
const MAX_DEPTH: usize = 64;

/// Between metadata and text; JSON text never holds this byte.
const SEPARATOR: [u8; 1] = [0];

/// Hashes a document.
///
/// # Errors
///
/// [`Error::InvalidMetadata`] if the metadata is nested too deeply to be read back.
pub(crate) fn hash(document: &NewDocument) -> Result<Hash> {
    let too_deep = || Error::InvalidMetadata {
        source_name: source_name(&document.metadata),
        limit: MAX_DEPTH,
    };
    let metadata = canonical_object(&document.metadata, MAX_DEPTH).ok_or_else(too_deep)?;
    let hash = Sha256::new()
        .chain_update(metadata.to_string())
        .chain_update(SEPARATOR)
        .chain_update(&document.page_content)
        .finalize();
    Ok(hash.into())
}

/// A hash as the records show it.
pub(crate) fn to_hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of a hash that a record shows; `None` if it is not one.
pub(crate) fn from_hex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if text.len() != 2 * hash.len() {
        return None;
    }
    for (place, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(hash)
}

/// The object with all keys sorted; `None` if it has more than `depth` levels.
fn canonical_object(object: &Map<String, Value>, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    let sorted = entries
        .into_iter()
        .map(|(key, value)| Some((key.clone(), canonical(value, depth)?)));
    sorted.collect::<Option<Map<_, _>>>().map(Value::Object)
}

fn canonical(value: &Value, depth: usize) -> Option<Value> {
    match value {
        Value::Object(object) => canonical_object(object, depth),
        Value::Array(items) => {
            let depth = depth.checked_sub(1)?;
            let items = items.iter().map(|item| canonical(item, depth));
            items.collect::<Option<_>>().map(Value::Array)
        }
        plain => Some(plain.clone()),
    }
}

fn source_name(metadata: &Map<String, Value>) -> String {
    let source = metadata.get("source").and_then(Value::as_str);
    source.unwrap_or("an unnamed source").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document(metadata: Value, text: &str) -> NewDocument {
        let Value::Object(metadata) = metadata else {
            panic!("metadata is an object");
        };
        NewDocument {
            page_content: text.to_owned(),
            metadata,
        }
    }

    fn hex(metadata: Value, text: &str) -> String {
        to_hex(&hash(&document(metadata, text)).unwrap())
    }

    #[test]
    fn it_is_the_sha256_of_sorted_json_separator_and_text() {
        // printf '{"page":3,"source":"a.txt"}\0hello' | sha256sum
        assert_eq!(
            hex(json!({"source": "a.txt", "page": 3}), "hello"),
            "c61098e36e42d34de0f05cc580a771af5f7be3475810a6556a57c685874111ff"
        );
    }

    #[test]
    fn order_of_keys_does_not_matter_at_any_level() {
        let one = hex(json!({"a": {"x": 1, "y": [{"p": 1, "q": 2}]}, "b": 2}), "t");
        let two = hex(json!({"b": 2, "a": {"y": [{"q": 2, "p": 1}], "x": 1}}), "t");
        assert_eq!(one, two);
        assert_ne!(one, hex(json!({"a": {"x": 1, "y": []}, "b": 2}), "t"));
    }

    #[test]
    fn metadata_and_text_do_not_run_into_each_other() {
        let one = hex(json!({"source": "a"}), "b");
        assert_ne!(one, hex(json!({"source": "ab"}), ""));
        assert_ne!(one, hex(json!({"source": "c"}), "b"));
    }

    #[test]
    fn hex_goes_both_ways() {
        let hash = std::array::from_fn(|i| i as u8 * 7);
        assert_eq!(from_hex(&to_hex(&hash)), Some(hash));
        assert_eq!(from_hex("00"), None);
        assert_eq!(from_hex(&"zz".repeat(32)), None);
        assert_eq!(from_hex(&"€".repeat(64 / 3 + 1)), None);
    }

    #[test]
    fn metadata_too_deep_to_read_back_is_refused() {
        let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        assert!(hash(&document(json!({ "n": nested(63) }), "")).is_ok());
        let error = hash(&document(json!({"source": "s.txt", "n": nested(64)}), "")).unwrap_err();
        assert!(error.to_string().contains("s.txt"), "{error}");
    }
}
