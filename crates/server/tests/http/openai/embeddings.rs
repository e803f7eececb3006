//! Embeddings.

use super::*;

const PATH: &str = "/v1/embeddings";

fn floats(entry: &Value) -> Vec<f32> {
    let list = entry["embedding"].as_array().unwrap();
    list.iter()
        .map(|one| one.as_f64().unwrap() as f32)
        .collect()
}

#[test]
fn texts_become_vectors_in_their_order() {
    let server = TestServer::start();
    let body = server
        .post(
            PATH,
            &json!({"model": "words", "input": ["one two", "three"]}),
        )
        .ok();
    assert_eq!(
        (&body["object"], &body["model"]),
        (&json!("list"), &json!("words"))
    );
    assert_eq!(
        body["usage"],
        json!({"prompt_tokens": 7, "total_tokens": 7})
    );
    let data = body["data"].as_array().unwrap();
    assert_eq!(data.len(), 2);
    assert_eq!(
        (&data[1]["index"], &data[1]["object"]),
        (&json!(1), &json!("embedding"))
    );
    let alone = server
        .post(
            PATH,
            &json!({"model": "words", "input": "three", "user": "me"}),
        )
        .ok();
    assert_eq!(alone["data"][0]["embedding"], data[1]["embedding"]);
    assert_ne!(data[0]["embedding"], data[1]["embedding"]);
    let length: f32 = floats(&data[0]).iter().map(|one| one * one).sum();
    assert!((length - 1.0).abs() < 1e-3);
}

#[test]
fn base64_is_the_same_vector() {
    let server = TestServer::start();
    let ask = |format: &str| {
        let body = json!({"model": "words", "input": "one two", "encoding_format": format, "dimensions": 256});
        server.post(PATH, &body).ok()["data"][0].clone()
    };
    let encoded = ask("base64")["embedding"].as_str().unwrap().to_owned();
    assert_eq!(encoded.len(), (256 * 4_usize).div_ceil(3) * 4);
    let floats = floats(&ask("float"));
    let bytes: Vec<u8> = floats.iter().flat_map(|one| one.to_le_bytes()).collect();
    assert_eq!(unbase64(&encoded), bytes);
}

fn unbase64(text: &str) -> Vec<u8> {
    const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::new());
    for sign in text.bytes().filter(|sign| *sign != b'=') {
        bits = bits << 6 | SIGNS.iter().position(|one| *one == sign).unwrap() as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

#[test]
fn tokens_are_taken_only_as_the_models_own() {
    let server = TestServer::start();
    let body = json!({"model": "words", "input": [[1001, 7, 1002], [1001, 8, 9, 1002]]});
    let answer = server.post(PATH, &body).ok();
    assert_eq!(answer["usage"]["prompt_tokens"], 7);
    // What the tokenizer of another model makes.
    let error = refused(
        server.post(PATH, &json!({"model": "words", "input": [9906, 1917]})),
        400,
    );
    assert_eq!(error["param"], "input");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("check_embedding_ctx_length=False"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_embedded_is_refused() {
    let server = TestServer::start();
    for (param, body) in [
        ("input", json!({"model": "words", "input": ""})),
        ("input", json!({"model": "words", "input": []})),
        ("input", json!({"model": "words", "input": ["a", ""]})),
        ("input", json!({"model": "words", "input": {"a": 1}})),
        (
            "dimensions",
            json!({"model": "words", "input": "a", "dimensions": 3}),
        ),
        (
            "encoding_format",
            json!({"model": "words", "input": "a", "encoding_format": "hex"}),
        ),
        ("model", json!({"model": "scripted", "input": "a"})),
        (
            "temperature",
            json!({"model": "words", "input": "a", "temperature": 1}),
        ),
        ("input", json!({"model": "words", "input": vec!["a"; 2049]})),
    ] {
        let error = refused(server.post(PATH, &body), 400);
        assert_eq!(error["param"], param, "{error}");
    }
    refused(
        server.post(PATH, &json!({"model": "none", "input": "a"})),
        404,
    );
}

#[test]
fn many_clients_at_once_get_their_own_vectors() {
    let server = TestServer::start();
    let alone: Vec<Value> = (0..16)
        .map(|number| {
            let body = json!({"model": "words", "input": format!("word{number}")});
            server.post(PATH, &body).ok()["data"].clone()
        })
        .collect();
    std::thread::scope(|scope| {
        for (number, expected) in alone.iter().enumerate() {
            let server = &server;
            scope.spawn(move || {
                for _ in 0..5 {
                    let body = json!({"model": "words", "input": format!("word{number}")});
                    assert_eq!(server.post(PATH, &body).ok()["data"], *expected);
                }
            });
        }
    });
}
