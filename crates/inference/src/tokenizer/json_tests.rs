//! Tokenizers of folders against the `tokenizers` crate reading the file as a whole, and files that are of
//! no use.

use serde_json::{Value, json};
use tempfile::TempDir;
use tokenizers::Tokenizer;

use super::*;
use crate::Error;
use crate::hub;
use safetensors::Dtype;

fn folder(tokenizer: &Value, rows: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let reference = hub::reference();
    let mut model = reference.models[0].clone();
    model.config["text_config"]["vocab_size"] = json!(rows);
    hub::write_json(folder.path(), "config.json", &model.config);
    let mut tensors = model.tensors();
    for tensor in &mut tensors {
        if tensor.name.ends_with("embed_tokens.weight") {
            tensor.values.resize(rows * tensor.dims[1], 0.5);
            tensor.dims[0] = rows;
        }
    }
    hub::save(
        &folder.path().join("model.safetensors"),
        &tensors,
        Dtype::F32,
    );
    hub::write_json(folder.path(), "tokenizer.json", tokenizer);
    folder
}

fn load(tokenizer: &Value) -> Result<GgufTokenizer> {
    let folder = folder(tokenizer, 1_000);
    GgufTokenizer::from_gguf("tiny", &ModelFile::open(folder.path()).unwrap())
}

fn whole(tokenizer: &Value) -> Tokenizer {
    Tokenizer::from_bytes(tokenizer.to_string()).unwrap()
}

/// The words `▁a`, `▁b`, `ab` and bytes, as SentencePiece's vocabularies have them.
fn sentencepiece() -> Value {
    let mut vocab = serde_json::Map::new();
    for text in ["<unk>", "<s>", "</s>"] {
        vocab.insert(text.to_owned(), json!(vocab.len()));
    }
    for byte in 0..=255u8 {
        vocab.insert(format!("<0x{byte:02X}>"), json!(vocab.len()));
    }
    for text in [
        "\u{2581}",
        "a",
        "b",
        "\u{2581}a",
        "\u{2581}b",
        "ab",
        "\u{2581}ab",
        "\u{2581}\u{2581}",
    ] {
        vocab.insert(text.to_owned(), json!(vocab.len()));
    }
    let added = ["<unk>", "<s>", "</s>"].iter().zip(0..).map(|(text, id)| {
        json!({"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    });
    let space = json!({"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"});
    let prepend = json!({"type": "Prepend", "prepend": "\u{2581}"});
    json!({
        "version": "1.0",
        "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": {"type": "Sequence", "normalizers": [prepend, space]},
        "pre_tokenizer": null,
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": null,
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
            "vocab": vocab,
            "merges": [["\u{2581}", "a"], ["\u{2581}", "b"], ["a", "b"], ["\u{2581}", "ab"],
                       ["\u{2581}a", "b"], ["\u{2581}", "\u{2581}"]]}
    })
}

const TEXTS: [&str; 9] = [
    "",
    "a",
    "ab a b",
    "  two  spaces ",
    "line\n\nend\n",
    "12345 and 6",
    "Héllo 日本語 🍌",
    "it's <image> a | test",
    "</s>a<s> b",
];

#[test]
fn tokens_are_those_of_the_file() {
    let reference = hub::reference();
    let mut first = sentencepiece();
    first["normalizer"] = Value::Null;
    first["pre_tokenizer"] = json!({"type": "Metaspace", "replacement": "\u{2581}",
                                    "prepend_scheme": "first", "split": false});
    let mut always = first.clone();
    always["pre_tokenizer"]["prepend_scheme"] = json!("always");
    let mut joined = reference.prompts[0].tokenizer.clone();
    for merge in joined["model"]["merges"].as_array_mut().unwrap() {
        let pair: Vec<&str> = merge
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        *merge = json!(pair.join(" "));
    }
    let files = [
        reference.prompts[0].tokenizer.clone(),
        reference.prompts[1].tokenizer.clone(),
        joined,
        sentencepiece(),
        first,
        always,
    ];
    for (number, file) in files.iter().enumerate() {
        let (found, expected) = (load(file).unwrap(), whole(file));
        for text in TEXTS {
            let tokens = found.encode(text, ControlTokens::Read).unwrap();
            let expected = expected.encode(text, false).unwrap();
            assert_eq!(tokens, expected.get_ids(), "{number}: {text:?}");
        }
    }
}

#[test]
fn text_that_goes_on_gets_no_space_and_bytes_are_those_of_the_text() {
    let tokenizer = load(&sentencepiece()).unwrap();
    let bytes = |tokens: &[u32]| -> Vec<u8> {
        let bytes = tokens
            .iter()
            .flat_map(|token| tokenizer.token_bytes(*token));
        bytes.copied().collect()
    };
    for text in TEXTS {
        let tokens = tokenizer.encoder().encode_part(text).unwrap();
        assert_eq!(bytes(&tokens), text.as_bytes(), "{text:?}");
    }
    let begun = tokenizer.encode("ab", ControlTokens::Plain).unwrap();
    assert_eq!(bytes(&begun), b" ab");
    assert_eq!(tokenizer.leading_token(), Some(1));
    assert_eq!(tokenizer.bos_text(), "<s>");
    assert!(tokenizer.is_end(2));
    let byte_level = load(&hub::reference().prompts[0].tokenizer).unwrap();
    assert_eq!(byte_level.leading_token(), None);
    for text in TEXTS {
        let tokens = byte_level.encode(text, ControlTokens::Plain).unwrap();
        let bytes = tokens
            .iter()
            .flat_map(|token| byte_level.token_bytes(*token));
        assert_eq!(bytes.copied().collect::<Vec<u8>>(), text.as_bytes());
    }
}

#[test]
fn added_tokens_are_what_the_file_says() {
    let mut file = sentencepiece();
    let token = |id: u32, text: &str, special: bool, rstrip: bool| {
        json!({"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": rstrip,
               "normalized": false, "special": special})
    };
    let added = file["added_tokens"].as_array_mut().unwrap();
    added.push(token(300, "<|word|>", false, false));
    added.push(token(301, "<|strip|>", true, true));
    added.push(token(302, "<image>", false, false));
    let tokenizer = load(&file).unwrap();
    let plain = |text| tokenizer.encode(text, ControlTokens::Plain).unwrap();
    let read = |text| tokenizer.encode(text, ControlTokens::Read).unwrap();
    assert_eq!(plain("<|word|>"), [300]);
    assert_eq!(tokenizer.token_bytes(300), b"<|word|>");
    assert_eq!(read("<|strip|> \n<s>"), [301, 1]);
    assert!(!plain("<|strip|>").contains(&301));
    // Stands for a picture whatever the file calls it.
    assert!(!plain("<image>").contains(&302));
    assert_eq!(read("<image>"), [302]);
    // Numbers between are nobody's.
    assert_eq!((tokenizer.len(), tokenizer.token_text(290)), (303, ""));
}

#[test]
fn files_that_are_of_no_use_are_refused_in_words() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 12] = [
        (
            |file| file["model"] = json!({"type": "Unigram", "vocab": [["a", -1.0]]}),
            "tokenizer \"Unigram\"",
        ),
        (
            |file| file["model"] = json!({"type": "WordPiece", "vocab": {}}),
            "tokenizer \"WordPiece\"",
        ),
        (
            |file| file["model"] = json!({"vocab": {}}),
            "no stated type",
        ),
        (
            |file| file["model"]["byte_fallback"] = json!(false),
            "without bytes",
        ),
        (
            |file| file["model"]["end_of_word_suffix"] = json!("</w>"),
            "suffixes of words",
        ),
        (|file| file["model"]["dropout"] = json!(0.1), "dropout"),
        (
            |file| file["model"]["merges"] = json!([["a", "a"]]),
            "\"aa\", which is not in model.vocab",
        ),
        (|file| file["model"]["merges"] = json!(["ab"]), "not a pair"),
        (
            |file| file["model"]["vocab"]["c"] = json!(1_000),
            "\"c\" has the id 1000, but the embedding has 1000 rows",
        ),
        (
            |file| file["added_tokens"][0]["lstrip"] = json!(true),
            "with lstrip",
        ),
        (
            |file| file["model"]["vocab"]["c"] = json!(-1),
            "not a valid configuration",
        ),
        (
            |file| file["pre_tokenizer"] = json!({"type": "Magic"}),
            "tokenizer of model \"tiny\" failed",
        ),
    ];
    for (change, part) in cases {
        let mut file = sentencepiece();
        change(&mut file);
        let error = load(&file).unwrap_err().to_string();
        assert!(error.contains(part), "{error}: no {part:?}");
    }
    let missing = folder(&sentencepiece(), 1_000);
    std::fs::remove_file(missing.path().join("tokenizer.json")).unwrap();
    let file = ModelFile::open(missing.path()).unwrap();
    let error = GgufTokenizer::from_gguf("tiny", &file).unwrap_err();
    assert!(matches!(&error, Error::Read { path, .. } if path.ends_with("tokenizer.json")));
    hub::write_json(missing.path(), "tokenizer.json", &sentencepiece());
    hub::write_json(
        missing.path(),
        "tokenizer_config.json",
        &json!({"eos_token": "<nobody>"}),
    );
    let error = GgufTokenizer::from_gguf("tiny", &file)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("tokenizer_config.json: eos_token is \"<nobody>\""),
        "{error}"
    );
}
