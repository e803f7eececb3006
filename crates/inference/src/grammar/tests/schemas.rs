use serde_json::{Value, json};

use super::*;

/// Whatever is chosen, the text is JSON that another reader of schemas finds valid.
#[test]
fn random_walks_are_valid_for_random_schemas() {
    for seed in 0..200 {
        let mut random = SchemaMaker::new(seed);
        let schema = random.schema();
        let grammar = Grammar::JsonSchema(schema.clone());
        for _ in 0..2 {
            let text = walk(&grammar, &mut random);
            if let Err(problem) = validate_json(&schema, &text) {
                panic!("{problem} in {text} of {schema}");
            }
        }
    }
}

#[test]
fn white_space_is_a_space_after_commas_and_colons() {
    let schema = json!({
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"const": 1}, "minItems": 2, "maxItems": 2}, "b": {"const": "x"}},
        "required": ["a", "b"],
        "additionalProperties": false,
    });
    let mut random = SchemaMaker::new(1);
    let text = walk(&Grammar::JsonSchema(schema.clone()), &mut random);
    assert_eq!(text, r#"{"a": [1, 1], "b": "x"}"#);
    let mut compact = schema;
    compact["x-guidance"] = json!({"item_separator": ",", "key_separator": ":"});
    let text = walk(&Grammar::JsonSchema(compact), &mut random);
    assert_eq!(text, r#"{"a":[1,1],"b":"x"}"#);
}

/// What must come is known beforehand, as the tokenizer cuts it, and asking changes nothing.
#[test]
fn forced_tokens_are_those_of_the_tokenizer() {
    let schema = json!({"const": {"hello": true, "other": null}});
    let grammar = Grammar::JsonSchema(schema);
    let mut guide = factory().compile(&grammar).unwrap();
    let forced = guide.forced();
    assert_eq!(guide.forced(), forced);
    let expected = tokenizer()
        .encoder()
        .encode_part(r#"{"hello": true, "other": null}"#);
    let expected = expected.unwrap();
    assert!(
        forced.len() > expected.len() / 2,
        "{forced:?} of {expected:?}"
    );
    assert_eq!(forced, expected[..forced.len()]);
    for token in &forced {
        assert_eq!(guide.mask().unwrap().tokens().collect::<Vec<_>>(), [*token]);
        guide.accept(*token).unwrap();
    }
}

#[test]
fn a_token_outside_the_mask_is_an_error_and_stays_one() {
    let grammar = Grammar::JsonSchema(json!({"type": "boolean"}));
    let mut guide = factory().compile(&grammar).unwrap();
    assert!(!guide.mask().unwrap().allows(u32::from(b'x')));
    assert!(matches!(
        guide.accept(u32::from(b'x')),
        Err(Error::Grammar { .. })
    ));
    assert!(matches!(guide.mask(), Err(Error::Grammar { .. })));
    assert!(guide.forced().is_empty());
}

#[test]
fn any_json_is_json() {
    let mut random = SchemaMaker::new(3);
    for schema in [json!(true), json!({}), json!({"type": "object"})] {
        for _ in 0..10 {
            let text = walk(&Grammar::JsonSchema(schema.clone()), &mut random);
            // A number with a long exponent is JSON, but none that this reader holds.
            match serde_json::from_str::<Value>(&text) {
                Err(error) if !error.to_string().contains("number out of range") => {
                    panic!("{error}: {text}")
                }
                _ => {}
            }
        }
    }
}

#[test]
fn texts_that_are_not_of_their_schema_are_told_where() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}}});
    assert_eq!(
        validate_json(&schema, r#"{"a": [1]}"#).unwrap(),
        json!({"a": [1]})
    );
    match validate_json(&schema, r#"{"a": [1, "x"]}"#) {
        Err(JsonProblem::NotAllowed { place, .. }) => assert_eq!(place, "/a/1"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        validate_json(&schema, "{"),
        Err(JsonProblem::Syntax(_))
    ));
    let outside = json!({"$ref": "https://example.com/schema.json"});
    assert!(matches!(
        validate_json(&outside, "1"),
        Err(JsonProblem::Schema { .. })
    ));
    assert!(matches!(
        validate_json(&json!({"type": 1}), "1"),
        Err(JsonProblem::Schema { .. })
    ));
}

/// Tokens that a text may have; names are spelled out in bytes here.
const MOST: usize = 1500;

#[test]
fn a_text_whose_tokens_run_short_comes_to_its_end() {
    let mut maker = SchemaMaker::new(23);
    for _ in 0..100 {
        let schema = maker.schema();
        let text = walk_within(&schema, MOST, &mut maker);
        let text = text.unwrap_or_else(|text| panic!("no end: {schema} {text}"));
        assert!(validate_json(&schema, &text).is_ok(), "{schema}\n{text}");
    }
}

/// A walk that takes whatever it may, for as long as it may; the text, or its beginning.
fn walk_within(schema: &Value, most: usize, random: &mut SchemaMaker) -> Result<String, String> {
    let grammar = Grammar::JsonSchema(schema.clone());
    let mut guide = factory().compile(&grammar).unwrap();
    let mut text = Vec::new();
    for left in (0..most).rev() {
        let tokens: Vec<u32> = guide.mask().unwrap().tokens().collect();
        let picked = tokens[random.below(tokens.len())];
        let token = guide.instead_of(picked, left).unwrap_or(picked);
        assert!(tokens.contains(&token));
        guide.accept(token).unwrap();
        text.extend(tokenizer().token_bytes(token));
        if guide.is_finished() {
            return Ok(String::from_utf8(text).unwrap());
        }
    }
    Err(String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn an_answer_may_be_as_long_as_its_tokens_and_no_shorter_than_the_schema() {
    let schema = json!({"type": "array", "items": {"type": "string"}, "minItems": 4});
    let mut maker = SchemaMaker::new(5);
    // ["", "", "", ""]
    assert!(walk_within(&schema, 4, &mut maker).is_err());
    for most in 16..60 {
        let text = walk_within(&schema, most, &mut maker).unwrap();
        assert!(validate_json(&schema, &text).is_ok(), "{text}");
    }
}

/// Numbers just below zero could go on with zeros for ever.
#[test]
fn numbers_between_narrow_limits_come_to_their_end() {
    let mut maker = SchemaMaker::new(11);
    for (minimum, maximum) in [(-0.3, -0.0625), (-2.5, -2.4375), (0.001, 0.002), (7.0, 7.0)] {
        let number = json!({"type": "number", "minimum": minimum, "maximum": maximum});
        let schema = json!({"type": "array", "items": number, "minItems": 3});
        for most in [60, 100] {
            let text = walk_within(&schema, most, &mut maker).unwrap();
            assert!(validate_json(&schema, &text).is_ok(), "{text}");
        }
    }
}

#[test]
fn other_grammars_may_end_where_they_like() {
    let mut guide = factory().compile(&Grammar::Regex("[a-z]+".to_owned()));
    let guide = guide.as_mut().unwrap();
    assert!(!guide.must_come_to_an_end());
    assert_eq!(guide.instead_of(u32::from(b'a'), 0), None);
}
