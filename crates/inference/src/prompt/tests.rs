//! Prompts with pictures against transformers' `Idefics3Processor`, and in vocabularies that know nothing
//! of pictures.

use std::fs;
use std::sync::Arc;

use longtrainer_images::Picture;
use safetensors::Dtype;
use serde_json::json;
use tempfile::TempDir;

use super::pictures::FRAME_TOKEN;
use super::*;
use crate::Role;
use crate::hub::{self, Chat, Reference};
use crate::tiny::{self, TinyModel};
use crate::tokenizer::ControlTokens;

/// A folder with one of the two tokenizers.
fn folder(reference: &Reference, which: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    reference.models[0].write(folder.path(), Dtype::BF16);
    reference.write_tokenizer(folder.path(), which);
    folder
}

fn prompts(folder: &TempDir) -> PromptBuilder {
    PromptBuilder::from_gguf("tiny", &ModelFile::open(folder.path()).unwrap()).unwrap()
}

fn pictures(count: usize) -> Vec<Picture> {
    let bytes: Arc<[u8]> = Arc::new([1, 2, 3]);
    (0..count)
        .map(|number| Picture::new(format!("{number}.png"), Arc::clone(&bytes)))
        .collect()
}

fn user(text: &str, count: usize) -> Message {
    Message::new(Role::User, text).with_pictures(pictures(count))
}

fn messages(chat: &Chat) -> Vec<Message> {
    let turns = chat.turns.iter().map(|turn| {
        let role = serde_json::from_value(json!(turn.role)).unwrap();
        Message::new(role, turn.content.as_str()).with_pictures(pictures(turn.pictures))
    });
    turns.collect()
}

fn layouts(chat: &Chat, tokens_a_frame: usize) -> Vec<PictureLayout> {
    let layouts = chat.grids.iter().map(|[rows, columns]| PictureLayout {
        rows: *rows,
        columns: *columns,
        tokens_a_frame,
    });
    layouts.collect()
}

const WHOLE: PictureLayout = PictureLayout {
    rows: 0,
    columns: 0,
    tokens_a_frame: 4,
};

/// Each frame's tokens are its own, together they are all, and they are in order.
fn check_spans(prompt: &PicturePrompt, layouts: &[PictureLayout]) {
    let mut expected = Vec::new();
    for (picture, layout) in layouts.iter().enumerate() {
        let parts = layout.rows * layout.columns;
        let frames = parts + 1;
        expected.extend((0..frames).map(|frame| (picture, frame, layout.tokens_a_frame)));
    }
    let spans = prompt.frames.iter();
    let found: Vec<_> = spans
        .map(|span| (span.picture, span.frame, span.len))
        .collect();
    assert_eq!(found, expected);
    let places = prompt
        .frames
        .iter()
        .flat_map(|span| span.start..span.start + span.len);
    let marked = prompt.tokens.iter().enumerate();
    let marked = marked
        .filter(|(_, token)| **token == FRAME_TOKEN)
        .map(|(place, _)| place);
    assert_eq!(places.collect::<Vec<_>>(), marked.collect::<Vec<_>>());
}

#[test]
fn prompts_are_those_of_transformers() {
    let reference = hub::reference();
    for (which, expected) in reference.prompts.iter().enumerate() {
        let prompts = prompts(&folder(&reference, which));
        for chat in &expected.chats {
            let layouts = layouts(chat, reference.tokens_a_frame);
            let prompt = prompts.picture_tokens(&messages(chat), &layouts).unwrap();
            check_spans(&prompt, &layouts);
            let tokens = prompt.tokens.iter().map(|token| match *token {
                FRAME_TOKEN => expected.image,
                token => token,
            });
            assert_eq!(
                tokens.collect::<Vec<_>>(),
                chat.tokens,
                "{which}: {:?}",
                chat.grids
            );
            if chat.grids.is_empty() {
                assert_eq!(prompts.tokens(&messages(chat)).unwrap(), chat.tokens);
            }
        }
        assert!(expected.chats.len() >= 12);
    }
}

#[test]
fn nobody_can_type_a_picture() {
    let reference = hub::reference();
    let prompts = prompts(&folder(&reference, 0));
    let special = [
        "<image>",
        "<fake_token_around_image>",
        "<global-img>",
        "<row_1_col_1>",
    ];
    let ids = special.map(|text| prompts.tokenizer().token(text).unwrap());
    let count = |tokens: &[u32]| tokens.iter().filter(|token| ids.contains(token)).count();
    let text = special.concat();
    assert_eq!(count(&prompts.tokens(&[user(&text, 0)]).unwrap()), 0);
    let plain = prompts.picture_tokens(&[user("Hi", 1)], &[WHOLE]).unwrap();
    let typed = prompts.picture_tokens(&[user(&text, 1)], &[WHOLE]).unwrap();
    assert_eq!(count(&typed.tokens), count(&plain.tokens));
    assert_eq!(typed.frames, plain.frames);
    let bytes = typed
        .tokens
        .iter()
        .flat_map(|token| prompts.tokenizer().token_bytes(*token));
    let shown = String::from_utf8(bytes.copied().collect()).unwrap();
    assert!(shown.contains(&text), "{shown}");
    let end = prompts.tokenizer().token("<end_of_utterance>").unwrap();
    let tokens = prompts.tokens(&[user("<end_of_utterance>", 0)]).unwrap();
    assert_eq!(tokens.iter().filter(|token| **token == end).count(), 1);
}

#[test]
fn answers_end_where_anybody_says_so() {
    let reference = hub::reference();
    let folder = folder(&reference, 0);
    let ends = |folder: &TempDir| {
        let mut ends: Vec<u32> = prompts(folder).tokenizer().end_tokens().collect();
        ends.sort_unstable();
        ends
    };
    // <|endoftext|>, <|im_end|> and <end_of_utterance>, by their texts.
    assert_eq!(ends(&folder), [0, 2, 342]);
    let generation = |value| hub::write_json(folder.path(), "generation_config.json", &value);
    generation(json!({"eos_token_id": [17, 18]}));
    assert_eq!(ends(&folder), [0, 2, 17, 18, 342]);
    generation(json!({"eos_token_id": 99_999}));
    let file = ModelFile::open(folder.path()).unwrap();
    let error = PromptBuilder::from_gguf("tiny", &file).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("generation_config.json: eos_token_id is 99999"),
        "{error}"
    );
    // Without it, what config.json says.
    fs::remove_file(folder.path().join("generation_config.json")).unwrap();
    assert_eq!(ends(&folder), [0, 2, 342]);
}

/// The tiny GGUF model, whose vocabulary has ChatML's tokens and none for pictures.
fn chatml(template: Option<&str>) -> PromptBuilder {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    let mut model = TinyModel::new("llama");
    if let Some(template) = template {
        let value = candle_core::quantized::gguf_file::Value::String(template.to_owned());
        model.set("tokenizer.chat_template", value);
    }
    model.write(&path);
    PromptBuilder::from_gguf("tiny", &ModelFile::open(&path).unwrap()).unwrap()
}

#[test]
fn frames_stand_alone_in_vocabularies_without_pictures() {
    let prompts = chatml(None);
    let ids = |text: &str| {
        prompts
            .tokenizer()
            .encode(text, ControlTokens::Read)
            .unwrap()
    };
    let frame = [FRAME_TOKEN; 4];
    let system = Message::new(Role::System, "Be kind.");
    let chat = [system.clone(), user("hello?", 1)];
    let prompt = prompts.picture_tokens(&chat, &[WHOLE]).unwrap();
    let before = ids("<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\n");
    let after = ids("hello?<|im_end|>\n<|im_start|>assistant\n");
    assert_eq!(prompt.tokens, [&before, frame.as_slice(), &after].concat());
    check_spans(&prompt, &[WHOLE]);

    let split = PictureLayout {
        rows: 1,
        columns: 2,
        ..WHOLE
    };
    let answer = Message::new(Role::Assistant, "he");
    let chat = [system, user("hello?", 2), answer, user("", 1)];
    let layouts = [WHOLE, split, WHOLE];
    let prompt = prompts.picture_tokens(&chat, &layouts).unwrap();
    check_spans(&prompt, &layouts);
    let between = ids("hello?<|im_end|>\n<|im_start|>assistant\nhe<|im_end|>\n<|im_start|>user\n");
    let end = ids("<|im_end|>\n<|im_start|>assistant\n");
    let expected = [
        &before,
        &[FRAME_TOKEN; 16] as &[u32],
        &between,
        &frame,
        &end,
    ]
    .concat();
    assert_eq!(prompt.tokens, expected);
    assert_eq!(prompt.tokens[0], tiny::IM_START);
}

#[test]
fn the_mark_of_a_picture_cannot_be_typed() {
    let prompts = chatml(None);
    for text in [
        "\u{FDD0}",
        "\u{FDD1}",
        "\u{FDD0}\u{FDD1}\u{FDD2}hello\u{FDD3}",
        "<image>",
    ] {
        let prompt = prompts.picture_tokens(&[user(text, 1)], &[WHOLE]).unwrap();
        assert_eq!(prompt.frames.len(), 1);
        let bytes = prompt
            .tokens
            .iter()
            .flat_map(|token| prompts.tokenizer().token_bytes(*token));
        let shown = String::from_utf8(bytes.copied().collect()).unwrap();
        assert_eq!(shown, format!("user\n{text}\nassistant\n"));
    }
}

#[test]
fn pictures_that_a_template_leaves_out_are_refused() {
    let forgetful = chatml(Some("{{ messages[-1].content }}"));
    let chat = [
        user("a", 1),
        Message::new(Role::Assistant, "b"),
        user("c", 1),
    ];
    match forgetful.picture_tokens(&chat, &[WHOLE, WHOLE]) {
        Err(Error::InvalidRequest { field, value, .. }) => {
            assert_eq!(
                (field, value.as_str()),
                ("pictures", "2, of which the chat template shows 1")
            );
        }
        other => panic!("{other:?}"),
    }
    let odd = PictureLayout { rows: 1, ..WHOLE };
    let none = PictureLayout {
        tokens_a_frame: 0,
        ..WHOLE
    };
    let prompts = chatml(None);
    for layouts in [&[] as &[PictureLayout], &[WHOLE, WHOLE], &[odd], &[none]] {
        let refused = prompts.picture_tokens(&[user("a", 1)], layouts);
        assert!(matches!(
            refused,
            Err(Error::InvalidRequest {
                field: "pictures",
                ..
            })
        ));
    }
    assert!(prompts.picture_tokens(&[], &[]).is_err());
}

#[test]
fn the_text_of_the_system_goes_before_pictures_where_a_template_has_no_place_for_it() {
    let prompts = chatml(Some(
        "{% for message in messages %}{% if message.role == 'user' %}{{ message.content }}\
         {% elif message.role == 'system' %}{{ raise_exception('no system') }}{% endif %}{% endfor %}",
    ));
    let chat = [Message::new(Role::System, "Be kind."), user("hello?", 1)];
    let prompt = prompts.picture_tokens(&chat, &[WHOLE]).unwrap();
    let ids = |text: &str| {
        prompts
            .tokenizer()
            .encode(text, ControlTokens::Read)
            .unwrap()
    };
    let expected = [ids("Be kind.\n\n"), vec![FRAME_TOKEN; 4], ids("hello?")].concat();
    assert_eq!(prompt.tokens, expected);
}

#[test]
fn the_template_of_a_folder_is_found_where_it_may_be() {
    let reference = hub::reference();
    let folder = folder(&reference, 0);
    let text = |folder: &TempDir| {
        let prompts = prompts(folder);
        let tokens = prompts.tokens(&[user("Hi", 0)]).unwrap();
        let bytes = tokens
            .iter()
            .flat_map(|token| prompts.tokenizer().token_bytes(*token));
        String::from_utf8(bytes.copied().collect()).unwrap()
    };
    assert_eq!(text(&folder), "User: Hi\nAssistant:");
    fs::write(folder.path().join("chat_template.jinja"), "jinja").unwrap();
    assert_eq!(text(&folder), "jinja");
    for name in ["chat_template.jinja", "chat_template.json"] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    assert_eq!(text(&folder), "not this one");
    let list = json!([{"name": "tool_use", "template": "a"}, {"name": "default", "template": "b"}]);
    let config = |value| hub::write_json(folder.path(), "tokenizer_config.json", &value);
    config(json!({"chat_template": list}));
    assert_eq!(text(&folder), "b");
    config(json!({"chat_template": []}));
    let file = ModelFile::open(folder.path()).unwrap();
    let error = PromptBuilder::from_gguf("tiny", &file).unwrap_err();
    assert!(error.to_string().contains("chat_template"), "{error}");
    config(json!({}));
    assert_eq!(text(&folder), "user\nHi\nassistant\n");
}
