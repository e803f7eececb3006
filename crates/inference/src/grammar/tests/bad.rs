//! What cannot be used is told before the first token, and soon.

use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;

/// The problem of a grammar that must be refused.
fn problem(name: &str, grammar: &Grammar) -> String {
    let started = Instant::now();
    let result = factory().compile(grammar);
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_secs(1), "{name}: {elapsed:?}");
    match result {
        Err(Error::Grammar { problem, .. }) => {
            assert!(
                !problem.is_empty() && problem.len() < 1000,
                "{name}: {problem}"
            );
            assert!(!problem.contains("panic"), "{name}: {problem}");
            problem
        }
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn bad_schemas_are_told() {
    let endless =
        json!({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]});
    let detour = json!({
        "type": "object",
        "properties": {"list": {"$ref": "#/$defs/list"}},
        "$defs": {"list": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/list"}}},
    });
    let cases: [(&str, Value); 30] = [
        ("not a schema", json!(3)),
        ("null", json!(null)),
        ("nothing", json!(false)),
        ("type that is none", json!({"type": "text"})),
        ("type of a type", json!({"type": 5})),
        ("properties that are none", json!({"properties": [1]})),
        (
            "negative length",
            json!({"type": "string", "minLength": -1}),
        ),
        ("unsupported keyword", json!({"not": {"type": "null"}})),
        (
            "unsupported condition",
            json!({"if": {"type": "null"}, "then": false}),
        ),
        (
            "unsupported uniqueness",
            json!({"type": "array", "uniqueItems": true}),
        ),
        (
            "unknown format",
            json!({"type": "string", "format": "poem"}),
        ),
        (
            "alternatives that overlap",
            json!({"oneOf": [{"type": "integer"}, {"type": "integer", "minimum": 3}]}),
        ),
        (
            "empty range",
            json!({"type": "integer", "minimum": 3, "maximum": 2}),
        ),
        (
            "range without whole number",
            json!({"type": "integer", "minimum": 3.1, "maximum": 3.9}),
        ),
        (
            "no multiple in range",
            json!({"type": "integer", "minimum": 8, "maximum": 13, "multipleOf": 7}),
        ),
        (
            "length upside down",
            json!({"type": "string", "minLength": 3, "maxLength": 2}),
        ),
        (
            "pattern against length",
            json!({"type": "string", "pattern": "^abc$", "maxLength": 2}),
        ),
        (
            "constant of another type",
            json!({"type": "string", "const": 3}),
        ),
        ("empty choice", json!({"enum": []})),
        (
            "required and forbidden",
            json!({"type": "object", "properties": {"a": false}, "required": ["a"]}),
        ),
        (
            "nested and impossible",
            json!({"type": "object", "properties": {"a": {"type": "array", "minItems": 2, "maxItems": 1}}, "required": ["a"]}),
        ),
        ("recursion without end", endless),
        ("recursion without end behind an option", detour),
        ("reference to itself", json!({"$ref": "#"})),
        ("reference to nothing", json!({"$ref": "#/$defs/nobody"})),
        (
            "reference to the network",
            json!({"$ref": "https://example.com/schema.json"}),
        ),
        (
            "pattern that is none",
            json!({"type": "string", "pattern": "("}),
        ),
        (
            "pattern that looks back",
            json!({"type": "string", "pattern": r"(a)\1"}),
        ),
        (
            "number that is too large",
            json!({"const": 9_007_199_254_740_993_u64}),
        ),
        (
            "constraints left out",
            json!({"type": "string", "x-guidance": {"lenient": true}}),
        ),
    ];
    for (name, schema) in cases {
        problem(name, &Grammar::JsonSchema(schema));
    }
    let spelling = json!({"type": "string", "x-guidance": {"spaces": 3}});
    let said = problem("unknown spelling", &Grammar::JsonSchema(spelling));
    assert!(said.contains("spaces"), "{said}");
    let network = json!({"properties": {"a": {"$ref": "other.json"}}});
    let said = problem("other file", &Grammar::JsonSchema(network));
    assert!(said.contains("other.json"), "{said}");
}

#[test]
fn schemas_that_are_too_large_are_told() {
    let mut deep = json!({"type": "null"});
    for _ in 0..70 {
        deep = json!({"type": "array", "items": deep});
    }
    problem("deep", &Grammar::JsonSchema(deep));
    problem(
        "long",
        &Grammar::JsonSchema(json!({"const": "x".repeat(300_000)})),
    );
    // Alternatives that multiply.
    let pairs: Vec<Value> = (0..30)
        .map(|number| {
            let one = json!({"properties": {format!("a{number}"): {"type": "integer"}}});
            let other = json!({"properties": {format!("b{number}"): {"type": "integer"}}});
            json!({"anyOf": [one, other]})
        })
        .collect();
    problem("multiplying", &Grammar::JsonSchema(json!({"allOf": pairs})));
}

#[test]
fn bad_regular_expressions_are_told() {
    for expression in [
        "",
        "^$",
        "(",
        "[",
        "a{3,2}",
        "*",
        r"a\",
        r"(a)\1",
        "(?=a)b",
        r"\bword\b",
        "a|(b",
        "a)(b",
        "(?P<n",
        "a^b",
        "[^\\s\\S]",
    ] {
        problem(expression, &Grammar::Regex(expression.to_owned()));
    }
    let long = "a".repeat(100_000);
    problem("long", &Grammar::Regex(long));
    problem(
        "nested",
        &Grammar::Regex("(".repeat(20_000) + &")".repeat(20_000)),
    );
}

#[test]
fn bad_choices_and_context_free_grammars_are_told() {
    problem("no choice", &Grammar::Choice(vec![]));
    problem(
        "empty choice",
        &Grammar::Choice(vec!["a".to_owned(), String::new()]),
    );
    problem("long choice", &Grammar::Choice(vec!["a".repeat(300_000)]));
    for text in [
        "",
        "   ",
        "no grammar at all",
        "begin: \"a\"",
        "start: nobody",
        "start: \"a",
        "start: /(/",
        "start: start \"a\"",
        "start: \"a\" loop | \"b\"\nloop: \"c\" loop",
        "start: @other",
        "start: A\nA: /a/ & /b/",
        "start: <|nobody|>",
        "start: %json {\"type\": 5}",
        "%ignore",
    ] {
        problem(text, &Grammar::Lark(text.to_owned()));
    }
    problem(
        "nested",
        &Grammar::Lark(format!(
            "start: {}\"a\"{}",
            "(".repeat(30_000),
            ")".repeat(30_000)
        )),
    );
}

/// Bombs either come to nothing or are refused; both soon, and what was compiled takes a step soon.
#[test]
fn bombs_do_not_go_off() {
    let mut chain = String::from("start: r0\n");
    for number in 0..2_000 {
        writeln!(chain, "r{number}: \"a\" r{}", number + 1).unwrap();
    }
    chain.push_str("r2000: \"b\"\n");
    let mut doubling = String::from("start: r0\n");
    for number in 0..60 {
        writeln!(doubling, "r{number}: r{0} r{0}", number + 1).unwrap();
    }
    doubling.push_str("r60: \"b\"\n");
    let mut references = json!({"$ref": "#/$defs/d0", "$defs": {"d900": {"type": "null"}}});
    for number in 0..900 {
        let next = json!({"$ref": format!("#/$defs/d{}", number + 1)});
        references["$defs"][format!("d{number}")] = next;
    }
    let properties: serde_json::Map<String, Value> = (0..1_000)
        .map(|number| (format!("p{number}"), json!({"type": "null"})))
        .collect();
    let bombs = [
        ("repeats", Grammar::Regex("(a{1,1000}){1,1000}".to_owned())),
        (
            "deep repeats",
            Grammar::Regex("((((a{1,90}){1,90}){1,90}){1,90}){1,90}".to_owned()),
        ),
        ("tail", Grammar::Regex("(a|b)*a(a|b){200}".to_owned())),
        ("overlap", Grammar::Regex("(x+x+)+y".to_owned())),
        (
            "classes",
            Grammar::Regex(r"(\w{1,500}\d{1,500}){1,500}".to_owned()),
        ),
        (
            "many",
            Grammar::Choice((0..20_000).map(|number| format!("{number:x}")).collect()),
        ),
        ("long choice", Grammar::Choice(vec!["ab".repeat(100_000)])),
        (
            "long constant",
            Grammar::JsonSchema(json!({"const": "x".repeat(200_000)})),
        ),
        (
            "long strings",
            Grammar::JsonSchema(json!({"type": "string", "minLength": 100_000})),
        ),
        (
            "many items",
            Grammar::JsonSchema(json!({"type": "array", "minItems": 4_000_000_000u64})),
        ),
        (
            "large multiple",
            Grammar::JsonSchema(json!({"type": "integer", "multipleOf": 999_999_937})),
        ),
        (
            "pattern",
            Grammar::JsonSchema(
                json!({"type": "string", "pattern": "(a*)*b(a*)*", "maxLength": 5_000}),
            ),
        ),
        ("references", Grammar::JsonSchema(references)),
        (
            "properties",
            Grammar::JsonSchema(json!({"type": "object", "properties": properties})),
        ),
        ("chain", Grammar::Lark(chain)),
        ("doubling", Grammar::Lark(doubling)),
    ];
    for (name, grammar) in bombs {
        let started = Instant::now();
        if let Ok(mut guide) = factory().compile(&grammar) {
            for _ in 0..3 {
                let Ok(mask) = guide.mask() else { break };
                let token = mask.tokens().last().unwrap();
                if guide.accept(token).is_err() {
                    break;
                }
            }
        }
        let elapsed = started.elapsed();
        assert!(elapsed < Duration::from_secs(3), "{name}: {elapsed:?}");
    }
}
