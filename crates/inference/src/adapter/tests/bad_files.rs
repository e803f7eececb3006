//! Files that are no adapter, or none for the model.

use std::fs;

use candle_core::quantized::gguf_file::Value;
use candle_core::{DType, Tensor};
use serde_json::{Value as Json, json};

use super::*;

fn problem(result: Result<Adapter>) -> String {
    match result {
        Err(Error::BadModel { problem, .. }) => problem,
        Err(Error::BadTensor {
            tensor, problem, ..
        }) => format!("{tensor}: {problem}"),
        Err(Error::Unsupported { what, found, .. }) => format!("{what} {found}"),
        other => panic!("{other:?}"),
    }
}

fn zeros(dims: &[usize]) -> Tensor {
    Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap()
}

/// What is said of a PEFT folder with a changed tensor.
fn peft_with(name: &str, tensor: Option<Tensor>) -> String {
    let sample = Sample::all("llama", 4, 1);
    let mut tensors = sample.peft_tensors("model.layers.", DType::F32);
    let name = format!("base_model.model.{name}");
    match tensor {
        Some(tensor) => drop(tensors.insert(name, tensor)),
        None => drop(tensors.remove(&name).unwrap()),
    }
    let config = sample.peft_config();
    problem(load("", |folder| {
        sample::write_peft(folder, &config, &tensors)
    }))
}

#[test]
fn tensors_of_peft_are_checked() {
    let q = "model.layers.0.self_attn.q_proj";
    let [a, b] = ["A", "B"].map(|half| format!("{q}.lora_{half}.weight"));
    let nan = Tensor::full(f32::NAN, (4, 32), &Device::Cpu).unwrap();
    let half = "its other half is missing";
    let none = "this is none of these";
    for (name, tensor, expected) in [
        (a.as_str(), None, half),
        (&b, None, half),
        (&a, Some(nan), "not finite"),
        (&a, Some(zeros(&[8, 32])), "has rank 8"),
        (&b, Some(zeros(&[32, 2])), "has rank 4"),
        (&a, Some(zeros(&[0, 32])), "rank 0"),
        (&a, Some(zeros(&[4, 4, 32])), "two dimensions"),
        (
            &a,
            Some(zeros(&[4, 32]).to_dtype(DType::F64).unwrap()),
            "type F64",
        ),
        ("lm_head.lora_A.weight", Some(zeros(&[4, 32])), none),
        ("lm_head.weight", Some(zeros(&[4, 32])), none),
        (
            "model.embed_tokens.lora_embedding_A",
            Some(zeros(&[4, 32])),
            none,
        ),
        ("model.norm.lora_A.weight", Some(zeros(&[4, 32])), none),
        (
            &format!("{q}.lora_magnitude_vector.weight"),
            Some(zeros(&[32])),
            none,
        ),
        (&format!("{q}.lora_B.bias"), Some(zeros(&[32])), none),
    ] {
        let found = peft_with(name, tensor);
        assert!(found.contains(expected), "{found}");
        assert!(found.contains("base_model.model."), "{found}");
    }
}

#[test]
fn a_rank_that_the_configuration_does_not_know_is_refused() {
    let sample = Sample::all("llama", 4, 1);
    let mut config = sample.peft_config();
    config["r"] = json!(8);
    let tensors = sample.peft_tensors("model.layers.", DType::F32);
    let found = problem(load("", |folder| {
        sample::write_peft(folder, &config, &tensors)
    }));
    assert!(found.contains("says rank 8"), "{found}");
}

#[test]
fn settings_of_peft_are_checked() {
    for (name, value, expected) in [
        ("peft_type", json!("IA3"), "adapter IA3"),
        ("peft_type", Json::Null, "adapter none"),
        ("use_dora", json!(true), "setting use_dora"),
        (
            "layer_replication",
            json!([[0, 1]]),
            "setting layer_replication",
        ),
        (
            "alora_invocation_tokens",
            json!([1]),
            "setting alora_invocation_tokens",
        ),
        ("fan_in_fan_out", json!(true), "setting fan_in_fan_out"),
        (
            "init_lora_weights",
            json!("PiSSA_niter_4"),
            "init_lora_weights pissa_niter_4",
        ),
        ("r", json!(0), "r is 0"),
        ("r", json!("4"), "r is \"4\""),
        ("lora_alpha", Json::Null, "lora_alpha is null"),
        ("lora_alpha", json!(1e300), "lora_alpha is 1e+300"),
        ("rank_pattern", json!([]), "rank_pattern is no object"),
        ("rank_pattern", json!({"q_proj": 0}), "rank_pattern is 0"),
        (
            "alpha_pattern",
            json!({"(": 1}),
            "alpha_pattern: regex parse error",
        ),
    ] {
        let sample = Sample::all("llama", 4, 1);
        let mut config = sample.peft_config();
        config[name] = value;
        let tensors = sample.peft_tensors("model.layers.", DType::F32);
        let found = problem(load("", |folder| {
            sample::write_peft(folder, &config, &tensors)
        }));
        assert!(found.contains(expected), "{name}: {found}");
    }
}

#[test]
fn files_that_are_missing_or_damaged_are_named() {
    let sample = Sample::all("llama", 4, 1);
    let missing = |file: &str| {
        let result = load("", |folder| {
            sample.write_peft(folder);
            fs::remove_file(folder.join(file)).unwrap();
        });
        match result {
            Err(Error::Read { path, .. }) => path,
            other => panic!("{other:?}"),
        }
    };
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        assert!(missing(file).ends_with(file));
    }
    assert!(matches!(load("nothing", |_| ()), Err(Error::Read { .. })));
    let spoil = |file: &str, bytes: &[u8]| {
        load("", |folder| {
            sample.write_peft(folder);
            fs::write(folder.join(file), bytes).unwrap();
        })
    };
    let config = spoil("adapter_config.json", b"{\"r\": ");
    assert!(matches!(config, Err(Error::Config { .. })), "{config:?}");
    let config = spoil("adapter_config.json", b"[]");
    assert!(matches!(config, Err(Error::Config { .. })), "{config:?}");
    for bytes in [
        &b""[..],
        b"GG",
        b"not a safetensors file at all",
        &[0xff; 64],
    ] {
        let tensors = spoil("adapter_model.safetensors", bytes);
        assert!(
            matches!(tensors, Err(Error::BadModel { .. })),
            "{tensors:?}"
        );
    }
    let empty = Default::default();
    let found = load("", |folder| {
        sample::write_peft(folder, &sample.peft_config(), &empty)
    });
    assert!(problem(found).contains("no low-rank pairs"));
    let cut = load("a", |folder| {
        sample.write_gguf(&folder.join("a"), GgmlDType::F32);
        let bytes = fs::read(folder.join("a")).unwrap();
        fs::write(folder.join("a"), &bytes[..bytes.len() - 100]).unwrap();
    });
    assert!(problem(cut).contains("its data would end"));
}

/// What is said of a GGUF file with changed metadata and one more tensor.
fn gguf_with(key: &str, value: Option<Value>, tensor: Option<(&str, Tensor)>) -> Result<Adapter> {
    let sample = Sample::all("llama", 4, 1);
    let mut metadata = sample.gguf_metadata();
    metadata.retain(|(other, _)| *other != key);
    let key: &'static str = key.to_owned().leak();
    metadata.extend(value.map(|value| (key, value)));
    let mut tensors = sample.gguf_tensors();
    if let Some((name, tensor)) = tensor {
        tensors.retain(|(other, _)| other != name);
        tensors.push((name.to_owned(), tensor));
    }
    load("a", |folder| {
        sample::write_gguf(&folder.join("a"), &metadata, &tensors, GgmlDType::F32);
    })
}

#[test]
fn gguf_files_are_checked() {
    let string = |text: &str| Some(Value::String(text.to_owned()));
    let list = || Some(Value::Array(vec![Value::U32(1)]));
    for (key, value, expected) in [
        ("general.type", string("model"), "general.type is \"model\""),
        ("general.type", None, "general.type is \"none\""),
        ("adapter.type", string("control_vector"), "adapter.type is"),
        (
            "general.architecture",
            None,
            "general.architecture is missing",
        ),
        ("general.architecture", string("bert"), "architecture bert"),
        (
            "adapter.lora.alpha",
            string("six"),
            "is not a finite number",
        ),
        (
            "adapter.alora.invocation_tokens",
            list(),
            "from certain tokens on",
        ),
    ] {
        let found = problem(gguf_with(key, value, None));
        assert!(found.contains(expected), "{found}");
    }
    let nan = Tensor::full(f32::NAN, (4, 32), &Device::Cpu).unwrap();
    for (name, tensor, expected) in [
        ("blk.0.attn_q.weight.lora_a", nan, "not finite"),
        ("blk.0.attn_q.weight.lora_b", zeros(&[32, 5]), "has rank 4"),
        (
            "blk.7.attn_q.weight.lora_b",
            zeros(&[32, 4]),
            "other half is missing",
        ),
        ("token_embd.weight.lora_a", zeros(&[4, 32]), "none of these"),
        ("output_norm.weight", zeros(&[32]), "none of these"),
    ] {
        let found = problem(gguf_with("", None, Some((name, tensor))));
        assert!(
            found.starts_with(name) && found.contains(expected),
            "{found}"
        );
    }
    let plain = gguf_with("adapter.lora.alpha", None, None).unwrap();
    let mut pairs = plain.contents().pairs.values();
    assert!(pairs.all(|pair| pair.scale == 1.0), "as llama.cpp does");
}

#[test]
fn a_model_is_no_adapter() {
    let found = load("m.gguf", |folder| {
        TinyModel::new("llama").write(&folder.join("m.gguf"))
    });
    assert!(problem(found).contains("general.type"));
}

fn misfit(binder: &AdapterBinder, adapter: &Adapter) -> String {
    match binder.apply(adapter) {
        Err(error @ Error::AdapterMismatch { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn adapters_of_other_models_do_not_fit() {
    let llama = kernel_binder("llama");
    let qwen = Sample::all("qwen2", 4, 1);
    let found = misfit(&llama, &from_gguf(&qwen));
    assert!(found.contains("architecture qwen2, not llama"), "{found}");
    assert!(found.starts_with("adapter \"sample\" does not fit model \"tiny\": "));
    // Heads are twice as wide.
    let found = misfit(&llama, &from_peft(&Sample::all("qwen3", 4, 1)));
    assert!(
        found.contains("q_proj.lora_B.weight has shape [64, 4], but must have [32, 4]"),
        "{found}"
    );
    let joined = Sample::of("phi3", 4, 1, |part| part == "attn_qkv");
    let found = misfit(&llama, &from_peft(&joined));
    assert!(
        found.contains("no matrix for tensor") && found.contains("qkv_proj"),
        "{found}"
    );
    let mut deeper = Sample::of("llama", 4, 1, |part| part == "attn_v");
    deeper.pairs[1].0 = "blk.2.attn_v.weight".to_owned();
    let found = misfit(&llama, &from_gguf(&deeper));
    assert!(
        found.contains("blk.2.attn_v.weight.lora_a in its 2 blocks"),
        "{found}"
    );
    let mut wider = Sample::of("llama", 4, 1, |part| part == "ffn_down");
    wider.pairs[0].1 = zeros(&[4, 65]);
    let found = misfit(&llama, &from_gguf(&wider));
    assert!(
        found.contains("lora_a has shape [4, 65], but must have [4, 64]"),
        "{found}"
    );
    assert_eq!(llama.bytes(), 0, "nothing was kept");
}
