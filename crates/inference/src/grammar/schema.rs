//! Checks of a JSON Schema before it is compiled, and the spelling of JSON that it is compiled to.

use serde_json::{Map, Number, Value, json};

/// Most bytes of a schema.
const LONGEST: usize = 256 << 10;
/// Most values inside each other.
const DEEPEST: usize = 64;
/// Most members of one object; compiling properties takes time that grows with their square.
const WIDEST: usize = 1000;
/// Whole numbers up to this are exact in the compiler's floats.
const LARGEST_EXACT: u64 = 1 << 53;

/// Keyword under which an author sets the spelling.
const SPELLING: &str = "x-guidance";

/// Keywords whose numbers decide what is allowed.
const NUMBERS: [&str; 7] = [
    "const",
    "enum",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
];

/// Keywords whose values are data and not schemas.
const DATA: [&str; 4] = ["const", "enum", "default", "examples"];

/// A schema that the compiler may have.
pub(super) fn read(schema: &Value) -> Result<Value, String> {
    check_depth(schema, DEEPEST)?;
    let mut members = match schema {
        Value::Object(members) => members.clone(),
        Value::Bool(true) => Map::new(),
        Value::Bool(false) => return Err("it allows nothing: it is false".to_owned()),
        _ => return Err("it is neither an object nor a boolean".to_owned()),
    };
    check_length(schema)?;
    check_keywords(schema)?;
    jsonschema::meta::validate(schema)
        .map_err(|error| format!("at {:?}: {error}", error.instance_path().to_string()))?;
    let spelling = spelling(members.get(SPELLING))?;
    members.insert(SPELLING.to_owned(), spelling);
    Ok(Value::Object(members))
}

/// Before anything else, since everything else goes down by recursion.
fn check_depth(value: &Value, left: usize) -> Result<(), String> {
    let inside: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(values) => Box::new(values.iter()),
        Value::Object(members) => Box::new(members.values()),
        _ => return Ok(()),
    };
    if left == 0 {
        return Err(format!(
            "it has more than {DEEPEST} values inside each other"
        ));
    }
    for value in inside {
        check_depth(value, left - 1)?;
    }
    Ok(())
}

fn check_length(schema: &Value) -> Result<(), String> {
    let length = schema.to_string().len();
    if length <= LONGEST {
        return Ok(());
    }
    Err(format!("it has {length} bytes, but may have {LONGEST}"))
}

/// References lead nowhere outside, and numbers keep their value.
fn check_keywords(value: &Value) -> Result<(), String> {
    match value {
        Value::Array(values) => values.iter().try_for_each(check_keywords),
        Value::Object(members) if members.len() > WIDEST => Err(format!(
            "it has an object of {} members, but may have {WIDEST}",
            members.len()
        )),
        Value::Object(members) => members.iter().try_for_each(|(keyword, value)| {
            if NUMBERS.contains(&keyword.as_str()) {
                check_numbers(keyword, value)?;
            }
            if keyword == "$ref" {
                check_reference(value)?;
            }
            // Data under these names, unless they are the names of properties, which are objects.
            if DATA.contains(&keyword.as_str()) && !value.is_object() {
                return Ok(());
            }
            check_keywords(value)
        }),
        _ => Ok(()),
    }
}

fn check_reference(value: &Value) -> Result<(), String> {
    match value.as_str() {
        Some(reference) if !reference.starts_with('#') => Err(format!(
            "$ref to {reference:?} leaves the schema; only references inside it, as \
             #/$defs/name, are followed"
        )),
        _ => Ok(()),
    }
}

fn check_numbers(keyword: &str, value: &Value) -> Result<(), String> {
    let mut numbers: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(values) => Box::new(values.iter()),
        Value::Number(_) => Box::new(std::iter::once(value)),
        _ => return Ok(()),
    };
    numbers.try_for_each(|value| match value {
        Value::Number(number) if is_inexact(number) => Err(format!(
            "{keyword}: {number} is too large to be kept exactly"
        )),
        _ => Ok(()),
    })
}

fn is_inexact(number: &Number) -> bool {
    let size = number
        .as_u64()
        .or_else(|| number.as_i64().map(i64::unsigned_abs));
    size.is_some_and(|size| size > LARGEST_EXACT)
}

/// A space after each comma and colon and no other white space: what models have read most, and none
/// that a model could go on with for ever. An author may choose otherwise, but not that constraints
/// are left out.
fn spelling(chosen: Option<&Value>) -> Result<Value, String> {
    let mut spelling = json!({
        "item_separator": ", ",
        "key_separator": ": ",
        "whitespace_flexible": false,
        // Not \u: a name spelled so could be that of another property.
        "json_allowed_escapes": "nrbtf\\\"",
    });
    let Some(chosen) = chosen else {
        return Ok(spelling);
    };
    let chosen = chosen
        .as_object()
        .ok_or_else(|| format!("{SPELLING} is not an object"))?;
    for (name, value) in chosen {
        if name == "lenient" && value != &Value::Bool(false) {
            return Err(format!("{SPELLING}: lenient would leave constraints out"));
        }
        spelling[name] = value.clone();
    }
    Ok(spelling)
}
