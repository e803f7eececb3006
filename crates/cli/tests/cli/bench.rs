//! `bench` over a text model of a few thousand random weights. It measures for a second at least, so
//! one test looks at everything that takes a measurement.

use candle_core::quantized::GgmlDType;
use serde_json::Value;

use crate::tiny::{CONTEXT, TinyModel};
use crate::world::World;

/// A world with `tiny.gguf`.
fn world() -> World {
    let world = World::new();
    TinyModel::new("llama").write_as(&world.path("tiny.gguf"), GgmlDType::Q8_0);
    world
}

fn text<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let model = ["bench", "text", "--model-file", "tiny.gguf"];
    [&model[..], arguments].concat()
}

#[test]
fn tests_are_measured_and_say_how() {
    let world = world();
    let arguments = ["--tests", "pp16,tg4@3", "--threads", "1", "--repeat", "1"];
    let printed = world.json(&[&text(&arguments)[..], &["--json", "--device", "cpu"]].concat());
    let [prompt, generation] = &printed.as_array().unwrap()[..] else {
        panic!("not two measurements: {printed}");
    };
    assert_eq!(prompt["test"], "pp16");
    assert_eq!(generation["test"], "tg4@3");
    for measurement in [prompt, generation] {
        assert_eq!(measurement["unit"], "tokens/s");
        assert_eq!(measurement["threads"], 1);
        assert_eq!(measurement["repeats"], 1);
        assert_eq!(measurement["device"], "cpu");
        assert_eq!(measurement["model"], "tiny.gguf");
        let size = world.path("tiny.gguf").metadata().unwrap().len();
        assert_eq!(measurement["model_size_bytes"], size);
        let number = |name: &str| measurement[name].as_f64().unwrap();
        assert!(number("value") > 0.0);
        assert!(number("min") <= number("value") && number("value") <= number("max"));
        let isa = measurement["isa"].as_str().unwrap();
        assert!(["scalar", "avx2", "avx512", "amx"].contains(&isa), "{isa}");
    }
    assert!(prompt["achieved_gop_per_s"].as_f64().unwrap() > 0.0);
    assert_eq!(prompt["arithmetic"], "int8");
    assert_eq!(prompt["achieved_gb_per_s"], Value::Null);
    assert!(generation["bandwidth_share"].as_f64().unwrap() > 0.0);
    assert_eq!(generation["achieved_gop_per_s"], Value::Null);
}

#[test]
fn what_cannot_be_measured_is_named() {
    let world = world();
    world.write("empty.json", "[]");
    world.write("numbers.json", "[1, 2]");
    let too_long = format!("pp{}", CONTEXT + 1);
    let too_deep = format!("tg1@{CONTEXT}");
    for (arguments, code, word) in [
        (["--tests", "pp0"], 2, "\"pp0\""),
        (["--tests", "pp16,,tg4"], 2, "\"\""),
        (["--tests", "32x128"], 2, "\"32x128\""),
        (["--tests", &too_long], 4, "at most 600"),
        (["--tests", &too_deep], 4, &too_deep),
        (["--threads", "0"], 4, "threads is 0"),
        (["--threads", "2000"], 4, "threads is 2000"),
        (["--repeat", "0"], 4, "repeat is 0"),
    ] {
        let run = world.run(&text(&arguments));
        assert_eq!(run.expect(code, &[word]).stdout, "", "{arguments:?}");
    }
    for (arguments, code, word) in [
        (["text", "--model-file", "nowhere.gguf"], 6, "nowhere.gguf"),
        (["text", "--model", "nothing"], 3, "nothing"),
        (["embeddings", "--model-folder", "nowhere"], 6, "nowhere"),
        (["embeddings", "--tests", "1x0"], 2, "\"1x0\""),
        (["embeddings", "--texts", "nowhere.json"], 4, "nowhere.json"),
        (["embeddings", "--texts", "empty.json"], 4, "no texts"),
        (["embeddings", "--texts", "numbers.json"], 4, "numbers.json"),
    ] {
        let run = world.run(&[&["bench"][..], &arguments].concat());
        assert_eq!(run.expect(code, &[word]).stdout, "", "{arguments:?}");
    }
}

#[test]
fn without_models_it_says_how_to_get_them() {
    let world = World::new();
    world
        .run(&["bench"])
        .expect(6, &["SmolLM2-135M-Instruct-Q4_1", "models pull"]);
    world
        .run(&["bench", "embeddings"])
        .expect(6, &["all-MiniLM-L6-v2", "models pull"]);
}

#[test]
fn one_form_at_a_time() {
    let world = World::new();
    world
        .run(&["bench", "--csv", "--json"])
        .expect(2, &["--csv"]);
    world
        .run(&["bench", "--threads", "1", "text"])
        .expect(2, &["text"]);
}

#[test]
fn made_up_models_and_search_are_measured_without_any_file() {
    let world = World::new();
    let shape = [
        "bench",
        "--shape",
        "tiny-text,tiny-encoder",
        "--tests",
        "2xtg4,frame",
        "--json",
    ];
    world.run(&shape).expect(4, &["frame", "tiny-encoder"]);
    let arguments = [
        "bench",
        "--shape",
        "tiny-text,tiny-vision,tiny-encoder",
        "--weights",
        "q8_0",
        "--tests",
        "1x8,pp8,2xtg4",
    ];
    let how = [
        "--repeat",
        "1",
        "--threads",
        "1",
        "--device",
        "cpu",
        "--svg",
        "chart.svg",
        "--json",
    ];
    let printed = world.json(&[&arguments[..], &how].concat());
    // Each shape has taken the tests of its kind.
    let [prompt, together, _, _, embedding] = &printed.as_array().unwrap()[..] else {
        panic!("not five measurements: {printed}");
    };
    assert_eq!(
        [&prompt["test"], &together["test"], &embedding["test"]],
        ["pp8", "2xtg4", "1x8"]
    );
    assert_eq!(prompt["model"], "tiny-text (q8_0)");
    assert_eq!(prompt["version"], env!("CARGO_PKG_VERSION"));
    assert!(together["peak_memory_bytes"].as_u64().unwrap() > 0);
    assert!(together["bandwidth_share"].as_f64().unwrap() > 0.0);
    let chart = std::fs::read_to_string(world.path("chart.svg")).unwrap();
    assert!(
        chart.starts_with("<svg") && chart.trim_end().ends_with("</svg>"),
        "{chart}"
    );
    for words in ["2xtg4", "tiny-text (q8_0)", "tokens/s"] {
        assert!(chart.contains(words), "{words}: {chart}");
    }
    let search = [
        "bench",
        "search",
        "--vectors",
        "3000",
        "--dimension",
        "16",
        "--queries",
        "5",
    ];
    let printed =
        world.json(&[&search[..], &["--repeat", "1", "--device", "cpu", "--json"]].concat());
    assert_eq!(printed[0]["test"], "5 in 3000x16");
    assert_eq!(printed[0]["unit"], "queries/s");
    assert!(printed[0]["arithmetic_share"].as_f64().unwrap() > 0.0);
}

#[test]
fn shapes_that_do_not_exist_are_named() {
    let world = World::new();
    for (arguments, code, word) in [
        (&["--shape", "gpt-5"][..], 2, "llama-8b"),
        (&["--shape", "tiny-text", "--weights", "q3"], 2, "q4_k"),
        (
            &["--shape", "tiny-text", "--weights", "q4_k"],
            4,
            "weights is q4_k",
        ),
        (
            &["--shape", "tiny-text", "--tests", "pp300"],
            4,
            "at most 256",
        ),
        (&["--weights", "bf16"], 2, "--shape"),
        (
            &["--shape", "tiny-text", "--svg", "nowhere/chart.svg"],
            1,
            "nowhere/chart.svg",
        ),
        (&["search", "--queries", "0"], 4, "queries is 0"),
    ] {
        world
            .run(&[&["bench"][..], arguments].concat())
            .expect(code, &[word]);
    }
}
