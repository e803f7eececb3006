//! The engine with the default text model: the same answers in any company, from any cache, with and
//! without guesses; and answers of a given shape. Skipped with a message when the weights are not on
//! this machine; see `support/models.rs`.

// A test may panic, and so may what helps it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

#[allow(dead_code)]
#[path = "support/models.rs"]
mod models;
#[allow(dead_code)]
#[path = "support/schemas.rs"]
mod schemas;

use longtrainer_inference::{
    EngineOptions, Error, FinishReason, GenerateRequest, Generation, GgufTextModel, Grammar,
    Message, Role, Sampling, StreamItem, TextModel, TextModelOptions, TextStream, validate_json,
};
use schemas::SchemaMaker;
use serde_json::{Value, json};

const PASSAGE: &str = "The Amazon rainforest covers most of the Amazon basin of South America. This \
    basin encompasses 7,000,000 square kilometres, of which 5,500,000 square kilometres are covered \
    by the rainforest. The majority of the forest is contained within Brazil, with 60% of the \
    rainforest, followed by Peru with 13% and Colombia with 10%.";

const QUESTIONS: [&str; 6] = [
    "Which country has most of the forest?",
    "How large is the basin?",
    "Write the passage again, word for word.",
    "What share has Peru?",
    "List the countries.",
    "Is the forest in Africa?",
];

fn model(engine: EngineOptions) -> Option<GgufTextModel> {
    let path = models::find(models::TEXT_MODEL)?;
    let options = TextModelOptions {
        engine,
        ..TextModelOptions::default()
    };
    Some(GgufTextModel::load("smollm2", &path, &options).unwrap())
}

/// Everything that could change an answer, turned off.
fn plain() -> EngineOptions {
    EngineOptions {
        max_batch: 1,
        prefix_cache: false,
        speculation: false,
        ..EngineOptions::default()
    }
}

fn collect(stream: TextStream) -> (String, Generation) {
    let mut text = String::new();
    for item in stream {
        match item.unwrap() {
            StreamItem::Token(_) => (),
            StreamItem::Text(piece) => text.push_str(&piece),
            StreamItem::Done(done) => return (text, done),
        }
    }
    panic!("the stream ended without an end");
}

/// Chats of growing length about one passage, greedy and sampled.
fn requests() -> Vec<GenerateRequest> {
    let mut messages = vec![Message::new(Role::System, PASSAGE)];
    let mut requests = Vec::new();
    for (number, question) in QUESTIONS.into_iter().enumerate() {
        messages.push(Message::new(Role::User, question));
        let greedy = GenerateRequest::new(messages.clone(), 60);
        let sampled = GenerateRequest {
            sampling: Sampling {
                temperature: 0.8,
                top_p: Some(0.95),
                seed: Some(number as u64),
                ..Sampling::default()
            },
            ..greedy.clone()
        };
        requests.extend([greedy, sampled]);
        messages.push(Message::new(
            Role::Assistant,
            "Let me see. It is said there.",
        ));
    }
    requests
}

#[test]
fn company_cache_and_guesses_change_no_letter() {
    let Some(alone) = model(plain()) else { return };
    let requests = requests();
    let ask = |model: &GgufTextModel, request: &GenerateRequest| {
        collect(model.generate(request.clone()).unwrap())
    };
    let expected: Vec<String> = requests.iter().map(|each| ask(&alone, each).0).collect();
    drop(alone);
    let small = EngineOptions {
        cache_bytes: Some(40 << 20),
        chunk_tokens: 64,
        ..EngineOptions::default()
    };
    for options in [EngineOptions::default(), small] {
        let model = model(options.clone()).unwrap();
        let streams: Vec<TextStream> = requests
            .iter()
            .map(|request| model.generate(request.clone()).unwrap())
            .collect();
        let together: Vec<String> = streams.into_iter().map(|each| collect(each).0).collect();
        assert_eq!(together, expected, "{options:?}");
        let (mut cached, mut accepted) = (0, 0);
        for (request, expected) in requests.iter().zip(&expected).rev() {
            let (text, end) = ask(&model, request);
            assert_eq!(&text, expected, "{options:?}");
            cached += end.usage.cached_tokens;
            accepted += end.usage.accepted_tokens;
        }
        assert!(cached > 500, "{cached} tokens were known");
        assert!(accepted > 10, "{accepted} guesses were right");
    }
}

#[test]
fn two_hundred_random_schemas_give_two_hundred_valid_objects() {
    let Some(model) = model(EngineOptions::default()) else {
        return;
    };
    let mut maker = SchemaMaker::new(7);
    let schemas: Vec<Value> = (0..200).map(|_| maker.schema()).collect();
    let streams: Vec<TextStream> = schemas
        .iter()
        .enumerate()
        .map(|(number, schema)| {
            let ask = format!("Make up an example of this JSON Schema: {schema}");
            let mut request = GenerateRequest::new(vec![Message::new(Role::User, ask)], 400);
            request.grammar = Some(Grammar::JsonSchema(schema.clone()));
            request.sampling.temperature = 0.8;
            request.sampling.seed = Some(number as u64);
            model.generate(request).unwrap()
        })
        .collect();
    let mut forced = 0;
    for (schema, stream) in schemas.iter().zip(streams) {
        let (text, end) = collect(stream);
        assert_eq!(end.finish_reason, FinishReason::Stop, "{schema}\n{text}");
        let value = validate_json(schema, &text);
        assert!(
            value.is_ok_and(|value| value.is_object()),
            "{schema}\n{text}"
        );
        forced += end.usage.accepted_tokens;
    }
    assert!(
        forced > 200,
        "{forced} tokens were read without being asked for"
    );
}

#[test]
fn shapes_other_than_json_hold_too() {
    let Some(model) = model(EngineOptions::default()) else {
        return;
    };
    let ask = |grammar| {
        let messages = vec![Message::new(Role::User, "Pick a number or a colour.")];
        let mut request = GenerateRequest::new(messages, 40);
        request.grammar = Some(grammar);
        collect(model.generate(request).unwrap()).0
    };
    let colours = ["crimson".to_owned(), "dark green".to_owned()];
    assert!(colours.contains(&ask(Grammar::Choice(colours.to_vec()))));
    let date = ask(Grammar::Regex("[0-9]{4}-[01][0-9]".to_owned()));
    assert!(date.len() == 7 && date.as_bytes()[4] == b'-', "{date}");
    let lark = "start: \"a\" (\"b\" | \"c\") NUMBER\nNUMBER: /[1-9][0-9]/";
    let text = ask(Grammar::Lark(lark.to_owned()));
    assert!(text.len() == 4 && text.starts_with('a'), "{text}");
}

#[test]
fn shapes_that_cannot_be_are_refused_before_the_first_token() {
    let Some(model) = model(EngineOptions::default()) else {
        return;
    };
    let endless = json!({"type": "object", "properties": {"next": {"$ref": "#"}},
                         "required": ["next"]});
    for grammar in [
        Grammar::JsonSchema(endless),
        Grammar::JsonSchema(json!({"type": "nothing"})),
        Grammar::Regex("(".to_owned()),
        Grammar::Choice(Vec::new()),
        Grammar::Lark("start: nowhere".to_owned()),
    ] {
        let messages = vec![Message::new(Role::User, "Hello")];
        let mut request = GenerateRequest::new(messages, 40);
        request.grammar = Some(grammar.clone());
        match model.generate(request) {
            Err(Error::Grammar { .. }) => (),
            other => panic!("{grammar:?}: {other:?}"),
        }
    }
}
