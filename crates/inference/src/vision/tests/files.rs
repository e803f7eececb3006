//! Both kinds of files, whole and spoiled.

use std::path::Path;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;

use super::*;
use crate::Error;

fn encoded(path: &Path) -> Vec<f32> {
    let checkpoint = VisionCheckpoint::open(path).unwrap();
    let frame = made_up::generated("pixels", checkpoint.config().frame_values());
    on_kernels(&checkpoint, Precision::F32)
        .encode(&frame)
        .unwrap()
}

fn refused(path: &Path) -> Error {
    match VisionCheckpoint::open(path) {
        Err(error) => error,
        // Values are looked at when a tower reads them.
        Ok(checkpoint) => {
            let device = SelectedDevice::default();
            let loaded = load_tower(&checkpoint, &device, Some(1), Precision::F32);
            loaded.err().unwrap()
        }
    }
}

/// The message about a folder that was spoiled before or after it was written.
fn refused_folder(
    spoil: impl Fn(&mut MadeUp),
    spoil_config: impl Fn(&mut serde_json::Value),
) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut made_up = MadeUp::new(tiny_config());
    spoil(&mut made_up);
    made_up.write_folder(folder.path(), Dtype::F32);
    let mut config = made_up.config_json();
    spoil_config(&mut config);
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let message = refused(folder.path()).to_string();
    message.replace(&folder.path().display().to_string(), "DIR")
}

/// The message about an `mmproj` file with one key changed, or left out.
fn refused_mmproj(key: &str, value: Option<Value>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mmproj.gguf");
    let made_up = MadeUp::new(tiny_config());
    let mut metadata = made_up.metadata();
    metadata.retain(|(found, _)| found != key);
    metadata.extend(value.map(|value| (key.to_owned(), value)));
    made_up.write_mmproj(&path, GgmlDType::F32, &metadata, |name| name);
    let message = refused(&path).to_string();
    message.replace(&path.display().to_string(), "FILE")
}

#[test]
fn a_folder_and_an_mmproj_of_the_same_weights_give_the_same_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let made_up = MadeUp::new(tiny_config());
    made_up.write_folder(folder.path(), Dtype::F32);
    let expected = encoded(folder.path());
    let metadata = made_up.metadata();
    let file = folder.path().join("mmproj.gguf");
    made_up.write_mmproj(&file, GgmlDType::F32, &metadata, |name| name);
    assert_eq!(encoded(&file), expected);
    // As older converters named the maps of the feed-forward parts.
    let exchanged = |name: String| match name.contains("ffn_up") {
        true => name.replace("ffn_up", "ffn_down"),
        false => name.replace("ffn_down", "ffn_up"),
    };
    made_up.write_mmproj(&file, GgmlDType::F32, &metadata, exchanged);
    assert_eq!(encoded(&file), expected);
}

#[test]
fn half_precision_and_blocks_are_read_for_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let made_up = MadeUp::new(tiny_config());
    made_up.write_folder(folder.path(), Dtype::F32);
    let exact = encoded(folder.path());
    let near = |found: &[f32], least: f64| {
        let cosine = least_cosine(found, &exact, 48);
        assert!(cosine > least && cosine < 1.0, "{cosine}");
    };
    made_up.write_folder(folder.path(), Dtype::F16);
    near(&encoded(folder.path()), 0.999_999);
    made_up.write_folder(folder.path(), Dtype::BF16);
    near(&encoded(folder.path()), 0.9999);
    let file = folder.path().join("mmproj.gguf");
    for (dtype, least) in [(GgmlDType::F16, 0.999_999), (GgmlDType::Q8_0, 0.999)] {
        made_up.write_mmproj(&file, dtype, &made_up.metadata(), |name| name);
        near(&encoded(&file), least);
    }
}

#[test]
fn a_folder_in_several_files_is_the_same_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let made_up = MadeUp::new(tiny_config());
    made_up.write_sharded(folder.path());
    let sharded = encoded(folder.path());
    let other = tempfile::tempdir().unwrap();
    made_up.write_folder(other.path(), Dtype::F32);
    assert_eq!(sharded, encoded(other.path()));
    std::fs::remove_file(folder.path().join("b.safetensors")).unwrap();
    let error = refused(folder.path());
    assert!(matches!(&error, Error::Read { path, .. } if path.ends_with("b.safetensors")));
    let outside = r#"{"weight_map": {"model.connector.x": "../c.safetensors"}}"#;
    std::fs::write(folder.path().join("model.safetensors.index.json"), outside).unwrap();
    assert!(
        refused(folder.path())
            .to_string()
            .contains("../c.safetensors")
    );
}

#[test]
fn what_a_configuration_leaves_out_has_the_published_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let made_up = MadeUp::new(VisionConfig {
        inner: 3072,
        blocks: 12,
        ..tiny_config()
    });
    made_up.write_folder(folder.path(), Dtype::BF16);
    let mut config = made_up.config_json();
    config["model_type"] = "smolvlm".into();
    let vision = config["vision_config"].as_object_mut().unwrap();
    for key in [
        "num_hidden_layers",
        "intermediate_size",
        "hidden_act",
        "layer_norm_eps",
    ] {
        vision.remove(key).unwrap();
    }
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    // Newer versions of transformers write the numbers of pictures elsewhere.
    let preprocessor = folder.path().join("preprocessor_config.json");
    let numbers = std::fs::read_to_string(&preprocessor).unwrap();
    std::fs::remove_file(&preprocessor).unwrap();
    let processor = format!(r#"{{"image_processor": {numbers}}}"#);
    std::fs::write(folder.path().join("processor_config.json"), processor).unwrap();
    let checkpoint = VisionCheckpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.config(), &made_up.config);
}

#[test]
fn spoiled_folders_are_refused_by_name() {
    let as_it_is = |_: &mut serde_json::Value| {};
    let query = "model.vision_model.encoder.layers.1.self_attn.q_proj.weight";
    let message = refused_folder(|made_up| made_up.remove(query), as_it_is);
    assert_eq!(
        message,
        format!("DIR/model.safetensors: tensor {query}: it is missing")
    );

    let connector = "model.connector.modality_projection.proj.weight";
    let turned = |made_up: &mut MadeUp| made_up.tensor(connector).1 = vec![1024, 48];
    assert_eq!(
        refused_folder(turned, as_it_is),
        format!(
            "DIR/model.safetensors: tensor {connector}: its shape is [1024, 48], but must be [48, 1024]"
        )
    );

    let bias = "model.vision_model.encoder.layers.0.mlp.fc1.bias";
    let infinite = |made_up: &mut MadeUp| made_up.tensor(bias).2[5] = f32::INFINITY;
    assert_eq!(
        refused_folder(infinite, as_it_is),
        format!("DIR/model.safetensors: tensor {bias}: it has values that are not finite numbers")
    );

    let one_more = |made_up: &mut MadeUp| {
        let name = "model.vision_model.head.probe".to_owned();
        made_up.tensors.push((name, vec![1], vec![0.0]));
        made_up.tensors.push((
            "model.text_model.norm.weight".to_owned(),
            vec![1],
            vec![0.0],
        ));
    };
    assert_eq!(
        refused_folder(one_more, as_it_is),
        "DIR/model.safetensors: tensor model.vision_model.head.probe: no part of the tower asks for it"
    );
}

#[test]
fn configurations_that_are_no_tower_are_refused() {
    let refused = |spoil: &dyn Fn(&mut serde_json::Value)| refused_folder(|_| {}, spoil);
    let message = refused(&|config| config["model_type"] = "llava".into());
    assert_eq!(
        message,
        "DIR/config.json: architecture \"llava\" is not supported; supported are idefics3, smolvlm"
    );
    let message = refused(&|config| config["vision_config"]["hidden_act"] = "quick_gelu".into());
    assert!(message.contains("activation \"quick_gelu\""), "{message}");
    let message = refused(&|config| config["vision_config"]["num_attention_heads"] = 5.into());
    assert_eq!(
        message,
        "DIR/config.json: 5 heads cannot share a width of 64"
    );
    let message = refused(&|config| config["vision_config"]["num_attention_heads"] = 0.into());
    assert!(message.contains("number of heads is 0"), "{message}");
    let message = refused(&|config| config["scale_factor"] = 3.into());
    assert!(message.contains("not whole squares of 3"), "{message}");
    let message = refused(&|config| config["vision_config"]["image_size"] = 64.into());
    assert!(message.contains("max_image_size is 35"), "{message}");
    let message = refused(&|config| config["vision_config"]["num_hidden_layers"] = u64::MAX.into());
    assert!(message.contains("number of blocks"), "{message}");
    let message = refused(&|config| config["text_config"] = serde_json::json!({}));
    assert_eq!(message, "DIR/config.json is not a valid configuration");
}

#[test]
fn spoiled_mmproj_files_are_refused_by_name() {
    let text = |text: &str| Some(Value::String(text.to_owned()));
    assert_eq!(
        refused_mmproj("clip.projector_type", text("ldp")),
        "FILE: projector type \"ldp\" is not supported; supported are idefics3"
    );
    let message = refused_mmproj("general.architecture", text("llama"));
    assert!(message.contains("\"llama\" is not supported"), "{message}");
    let message = refused_mmproj("clip.use_gelu", None);
    assert!(message.contains("activation"), "{message}");
    let message = refused_mmproj("clip.vision.patch_size", None);
    assert_eq!(message, "FILE: clip.vision.patch_size is missing");
    let message = refused_mmproj("clip.vision.block_count", Some(Value::U32(3)));
    assert_eq!(message, "FILE: tensor v.blk.2.ln1.weight: it is missing");
    let message = refused_mmproj("clip.vision.block_count", Some(Value::U32(1)));
    assert_eq!(
        message,
        "FILE: tensor v.blk.1.attn_k.bias: no part of the tower asks for it"
    );
    let message = refused_mmproj(
        "clip.vision.image_std",
        Some(Value::Array(vec![Value::F32(0.5)])),
    );
    assert_eq!(
        message,
        "FILE: clip.vision.image_std has 1 values, but must have 3"
    );
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let empty = refused(folder.path());
    assert!(matches!(&empty, Error::Read { path, .. } if path.ends_with("config.json")));
    let text = folder.path().join("text.gguf");
    std::fs::write(&text, "no model at all, but long enough").unwrap();
    assert!(matches!(refused(&text), Error::BadModel { .. }));
    MadeUp::new(tiny_config()).write_folder(folder.path(), Dtype::F32);
    let tensors = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&tensors).unwrap();
    std::fs::write(&tensors, &bytes[..bytes.len() - 9]).unwrap();
    assert!(matches!(refused(folder.path()), Error::BadModel { path, .. } if path == tensors));
}

#[test]
fn a_frame_of_another_size_is_refused() {
    let checkpoint = opened(&MadeUp::new(tiny_config()));
    for tower in [
        on_kernels(&checkpoint, Precision::F32),
        on_candle(&checkpoint),
    ] {
        let error = tower.encode(&[0.0; 3 * 35 * 34]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a frame has 3570 values, but the tower takes 3675: 3 times 35 by 35"
        );
    }
}

#[test]
fn tokens_do_not_depend_on_threads_or_on_the_frames_before() {
    let made_up = MadeUp::new(tiny_config());
    let checkpoint = opened(&made_up);
    let frame = made_up.frame();
    let device = SelectedDevice::default();
    for precision in [
        Precision::F32,
        Precision::Bf16,
        Precision::Mixed,
        Precision::Int8,
    ] {
        let one = load_tower(&checkpoint, &device, Some(1), precision).unwrap();
        let three = load_tower(&checkpoint, &device, Some(3), precision).unwrap();
        let first = one.encode(&frame).unwrap();
        three.encode(&vec![0.5; frame.len()]).unwrap();
        assert_eq!(three.encode(&frame).unwrap(), first, "{precision:?}");
        assert!(three.memory_bytes() > one.config().hidden * one.config().inner);
    }
}

#[test]
fn a_file_of_llama_cpps_converter_is_read() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/vision_tower_mmproj.gguf"
    );
    let made_up = MadeUp::new(VisionConfig {
        hidden: 32,
        blocks: 1,
        heads: 2,
        inner: 64,
        image_size: 16,
        patch_size: 4,
        scale_factor: 2,
        text_width: 32,
        longest_edge: 64,
        ..tiny_config()
    });
    let checkpoint = VisionCheckpoint::open(Path::new(path)).unwrap();
    assert_eq!(checkpoint.config(), &made_up.config);
    let folder = tempfile::tempdir().unwrap();
    made_up.write_folder(folder.path(), Dtype::F32);
    // Its matrices are in half precision.
    let cosine = least_cosine(&encoded(Path::new(path)), &encoded(folder.path()), 32);
    assert!(cosine > 0.999_999, "{cosine}");
}
