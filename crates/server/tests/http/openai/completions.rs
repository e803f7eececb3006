//! Text completions.

use longtrainer::RawText;

use super::*;
use crate::fakes::Behaviour;

const PATH: &str = "/v1/completions";

#[test]
fn a_text_is_gone_on_with_as_it_stands() {
    let server = TestServer::start();
    server.behave(Behaviour::Say(" upon a time".to_owned()));
    let body = json!({"model": "scripted", "prompt": "<|x|>Once", "seed": 1, "n": 1, "best_of": 1, "echo": false, "suffix": null});
    let answer = server.post(PATH, &body).ok();
    assert!(answer["id"].as_str().unwrap().starts_with("cmpl-"));
    assert_eq!(answer["object"], "text_completion");
    let choice =
        json!({"text": " upon a time", "index": 0, "logprobs": null, "finish_reason": "stop"});
    assert_eq!(answer["choices"], json!([choice]));
    assert_eq!(answer["usage"]["prompt_tokens"], 7);
    let request = &server.model().requests()[0];
    assert_eq!(request.text, Some(RawText::Text("<|x|>Once".to_owned())));
    assert_eq!((request.max_tokens, request.messages.len()), (16, 0));
}

#[test]
fn several_prompts_are_several_choices_whole_or_streamed() {
    let server = TestServer::start();
    server.behave(Behaviour::Say("a b".to_owned()));
    let body =
        json!({"model": "scripted", "prompt": ["one", "two"], "max_tokens": 5, "logprobs": 1});
    let answer = server.post(PATH, &body).ok();
    let choices = answer["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 2);
    assert_eq!(
        (&choices[1]["index"], &choices[1]["text"]),
        (&json!(1), &json!("a b"))
    );
    let logprobs = json!({"tokens": ["a ", "b"], "token_logprobs": [-0.5, -0.5],
        "top_logprobs": [{"other": -1.0}, {"other": -1.0}], "text_offset": [0, 2]});
    assert_eq!(choices[0]["logprobs"], logprobs);
    assert_eq!(answer["usage"]["total_tokens"], 18);

    let stream = with(
        body,
        json!({"stream": true, "stream_options": {"include_usage": true}}),
    );
    let chunks = chunks(&server.post(PATH, &stream));
    let (usage, parts) = chunks.split_last().unwrap();
    assert_eq!(usage["usage"]["total_tokens"], 18);
    for index in 0..2 {
        let own: Vec<&Value> = parts
            .iter()
            .map(|part| &part["choices"][0])
            .filter(|one| one["index"] == index)
            .collect();
        let text: String = own
            .iter()
            .map(|one| one["text"].as_str().unwrap())
            .collect();
        assert_eq!(text, "a b");
        assert_eq!(own.last().unwrap()["finish_reason"], "stop");
        assert_eq!(own[1]["logprobs"]["text_offset"], json!([2]));
    }
}

#[test]
fn what_is_not_here_is_named() {
    let server = TestServer::start();
    for (param, fields) in [
        ("echo", json!({"echo": true})),
        ("suffix", json!({"suffix": "end"})),
        ("best_of", json!({"best_of": 3})),
        ("n", json!({"n": 2})),
        ("messages", json!({"messages": []})),
        ("prompt", json!({"prompt": []})),
        ("prompt", json!({"prompt": vec!["a"; 65]})),
    ] {
        let body = with(json!({"model": "scripted", "prompt": "a"}), fields);
        assert_eq!(refused(server.post(PATH, &body), 400)["param"], param);
    }
    let eyes = json!({"model": "eyes", "prompt": "a"});
    assert_eq!(refused(server.post(PATH, &eyes), 400)["param"], "model");
}
