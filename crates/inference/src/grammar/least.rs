//! How long the shortest values of a JSON Schema and of its parts are, roughly: what must be left of an
//! answer's tokens when such a part is begun.

use std::cell::Cell;
use std::cmp::max;

use serde_json::{Map, Value};

/// Parts inside one another; a value that goes deeper is not the shortest.
const DEEPEST: usize = 64;
/// Parts of a schema that are looked at: alternatives of alternatives can be without number.
const MOST_PARTS: usize = 20_000;
/// Bytes of a value about which the schema says too little or too much.
const SOME: usize = 12;
/// Bytes of a value that cannot be: alternatives to it are shorter.
const ENDLESS: usize = 1 << 16;
/// Bytes around a member: quotes, colon, comma and spaces.
const AROUND: usize = 6;

/// Bytes of JSON a token, at least: short names and values between signs.
const BYTES_A_TOKEN: usize = 2;

/// Tokens of a short value of that part of a schema whose short values are the longest.
pub(super) fn longest_part(schema: &Value) -> usize {
    let parts = Cell::new(0);
    let mut longest = 0;
    let mut all = vec![schema];
    while let Some(part) = all.pop() {
        longest = longest.max(bytes_of(schema, part, &parts));
        match part {
            Value::Object(members) => all.extend(members.values()),
            Value::Array(items) => all.extend(items),
            _ => {}
        }
    }
    longest.div_ceil(BYTES_A_TOKEN)
}

/// Bytes of a short value of a part.
fn bytes_of(root: &Value, part: &Value, parts: &Cell<usize>) -> usize {
    let schema = Schema {
        root,
        deep: 0,
        parts,
    };
    match schema.of(part) {
        // Nothing is known about parts that were not looked at.
        _ if parts.get() > MOST_PARTS => ENDLESS,
        bytes => bytes.min(ENDLESS),
    }
}

#[derive(Clone, Copy)]
struct Schema<'schema> {
    root: &'schema Value,
    deep: usize,
    /// Those looked at so far.
    parts: &'schema Cell<usize>,
}

impl Schema<'_> {
    fn of(self, schema: &Value) -> usize {
        let Some(keywords) = schema.as_object() else {
            return SOME;
        };
        if self.deep > DEEPEST {
            return ENDLESS;
        }
        self.parts.set(self.parts.get() + 1);
        if self.parts.get() > MOST_PARTS {
            return SOME;
        }
        let deeper = Self {
            deep: self.deep + 1,
            ..self
        };
        let parts = [
            keywords.get("const").map(length),
            shortest(keywords, "enum", length),
            deeper.referred(keywords),
            shortest(keywords, "anyOf", |schema| deeper.of(schema)),
            shortest(keywords, "oneOf", |schema| deeper.of(schema)),
            longest(keywords, "allOf", |schema| deeper.of(schema)),
            deeper.typed(keywords),
        ];
        parts.into_iter().flatten().max().unwrap_or(SOME)
    }

    fn referred(self, keywords: &Map<String, Value>) -> Option<usize> {
        let reference = keywords.get("$ref")?.as_str()?;
        let target = self.root.pointer(reference.strip_prefix('#')?);
        Some(target.map_or(SOME, |schema| self.of(schema)))
    }

    fn typed(self, keywords: &Map<String, Value>) -> Option<usize> {
        match keywords.get("type")? {
            Value::String(kind) => Some(self.of_type(kind, keywords)),
            Value::Array(kinds) => {
                let kinds = kinds.iter().filter_map(Value::as_str);
                kinds.map(|kind| self.of_type(kind, keywords)).min()
            }
            _ => None,
        }
    }

    fn of_type(self, kind: &str, keywords: &Map<String, Value>) -> usize {
        let number = |name| keywords.get(name).and_then(Value::as_u64).unwrap_or(0) as usize;
        match kind {
            "object" => max(self.members(keywords), number("minProperties") * SOME),
            "array" => self.items(keywords, number("minItems")),
            "string" if keywords.contains_key("pattern") || keywords.contains_key("format") => {
                max(2 * SOME, number("minLength"))
            }
            "string" => 2 + number("minLength"),
            _ => SOME,
        }
    }

    fn members(self, keywords: &Map<String, Value>) -> usize {
        let required = keywords.get("required").and_then(Value::as_array);
        let names = required.into_iter().flatten().filter_map(Value::as_str);
        let member = |name: &str| {
            let schema = keywords.get("properties").and_then(|all| all.get(name));
            AROUND + name.len() + schema.map_or(SOME, |schema| self.of(schema))
        };
        let members: usize = names.map(member).map(|bytes| bytes.min(ENDLESS)).sum();
        2 + members
    }

    fn items(self, keywords: &Map<String, Value>, least: usize) -> usize {
        let first = keywords.get("prefixItems").and_then(Value::as_array);
        let first = first.map_or(&[][..], Vec::as_slice);
        let first = &first[..first.len().min(least)];
        let others = keywords.get("items").map_or(SOME, |schema| self.of(schema));
        let first_bytes: usize = first.iter().map(|schema| 2 + self.of(schema)).sum();
        let others_bytes = (least - first.len()).saturating_mul(2 + others);
        2 + first_bytes.saturating_add(others_bytes).min(ENDLESS)
    }
}

fn length(value: &Value) -> usize {
    value.to_string().len()
}

fn all<'v>(keywords: &'v Map<String, Value>, name: &str) -> Option<&'v Vec<Value>> {
    keywords.get(name)?.as_array()
}

fn shortest(
    keywords: &Map<String, Value>,
    name: &str,
    bytes: impl Fn(&Value) -> usize,
) -> Option<usize> {
    all(keywords, name)?.iter().map(bytes).min()
}

fn longest(
    keywords: &Map<String, Value>,
    name: &str,
    bytes: impl Fn(&Value) -> usize,
) -> Option<usize> {
    all(keywords, name)?.iter().map(bytes).max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn least_bytes(schema: &Value) -> usize {
        bytes_of(schema, schema, &Cell::new(0))
    }

    #[test]
    fn what_is_required_counts_and_what_is_not_does_not() {
        let member = json!({"type": "string", "minLength": 10});
        let schema = |required: Value| {
            least_bytes(&json!({
                "type": "object", "properties": {"name": member, "other": member},
                "required": required,
            }))
        };
        assert_eq!(schema(json!([])), 2);
        assert_eq!(schema(json!(["name"])), 2 + 6 + 4 + 12);
        assert!(schema(json!(["name", "other"])) > 2 * 20);
    }

    #[test]
    fn the_shortest_alternative_counts_and_lists_without_end_do_not() {
        let list = json!({
            "anyOf": [{"const": null}, {
                "type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"],
            }],
        });
        assert_eq!(least_bytes(&list), 4);
        let endless = json!({
            "type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"],
        });
        assert!(least_bytes(&endless) >= ENDLESS / 2);
    }

    #[test]
    fn alternatives_without_number_take_no_time() {
        let again = json!({"$ref": "#"});
        let schema = json!({"anyOf": [again, again, again, again, again, {"const": 1}]});
        assert_eq!(
            least_bytes(&schema),
            ENDLESS,
            "nobody looked at all of them"
        );
    }

    #[test]
    fn the_longest_part_may_lie_anywhere() {
        let long = json!({"type": "array", "minItems": 50, "items": {"const": 1}});
        let schema =
            json!({"anyOf": [{"const": 1}, {"type": "object", "properties": {"x": long}}]});
        assert_eq!(longest_part(&schema), (2 + 50 * 3_usize).div_ceil(2));
        let endless = json!({"$defs": {"a": {"$ref": "#/$defs/a"}}});
        assert!(longest_part(&endless) >= ENDLESS / 2);
    }

    #[test]
    fn items_count_as_often_as_they_must_be_there() {
        let schema = json!({"type": "array", "minItems": 3, "items": {"const": 12345}});
        assert_eq!(least_bytes(&schema), 2 + 3 * 7);
        let all = json!({"type": "array", "minItems": u64::MAX, "items": {"const": 1}});
        assert!(least_bytes(&all) <= ENDLESS);
    }
}
