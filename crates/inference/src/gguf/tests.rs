//! Damaged files: each is refused with a message that names what is wrong.

use std::fs;
use std::path::PathBuf;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;
use tempfile::TempDir;

use super::*;
use crate::tiny::TinyModel;

struct Sample {
    _folder: TempDir,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Sample {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sample.gguf");
        TinyModel::new("llama").write_as(&path, GgmlDType::Q8_0);
        let bytes = fs::read(&path).unwrap();
        Self {
            _folder: folder,
            path,
            bytes,
        }
    }

    fn open(&self, bytes: &[u8]) -> Result<ModelFile> {
        fs::write(&self.path, bytes).unwrap();
        ModelFile::open(&self.path)
    }

    /// Opens the sample with the bytes after the first `after` replaced.
    fn spoiled(&self, after: &str, skip: usize, bytes: &[u8]) -> Error {
        let found = self
            .bytes
            .windows(after.len())
            .position(|window| window == after.as_bytes());
        let start = found.unwrap() + after.len() + skip;
        let mut spoiled = self.bytes.clone();
        spoiled[start..start + bytes.len()].copy_from_slice(bytes);
        self.open(&spoiled).unwrap_err()
    }
}

#[test]
fn the_sample_opens() {
    let sample = Sample::new();
    let file = sample.open(&sample.bytes).unwrap();
    assert_eq!(
        file.required_string("general.architecture").unwrap(),
        "llama"
    );
    assert_eq!(file.required_size("llama.block_count").unwrap(), 2);
    let tensor = file.tensor("output_norm.weight", &[32]).unwrap();
    assert_eq!(tensor.shape().dims(), [32]);
}

#[test]
fn a_missing_file_and_a_folder_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let missing = ModelFile::open(&folder.path().join("none.gguf")).unwrap_err();
    assert!(matches!(missing, Error::Read { .. }));
    assert!(missing.to_string().contains("none.gguf"));
    assert!(ModelFile::open(folder.path()).is_err());
}

#[test]
fn files_of_another_kind_are_errors() {
    let sample = Sample::new();
    for bytes in [
        &b""[..],
        b"GG",
        b"PK\x03\x04 and so on and so forth",
        &[0; 100],
    ] {
        assert!(
            matches!(sample.open(bytes), Err(Error::BadModel { .. })),
            "{bytes:?}"
        );
    }
    let mut future = sample.bytes.clone();
    future[4] = 9;
    assert!(
        sample
            .open(&future)
            .unwrap_err()
            .to_string()
            .contains("version 9")
    );
}

#[test]
fn every_truncation_is_an_error() {
    let sample = Sample::new();
    for end in (0..sample.bytes.len() - 32).step_by(37) {
        assert!(sample.open(&sample.bytes[..end]).is_err(), "cut at {end}");
    }
    let cut = sample
        .open(&sample.bytes[..sample.bytes.len() - 100])
        .unwrap_err();
    assert!(matches!(cut, Error::BadTensor { .. }), "{cut}");
}

#[test]
fn flipped_bytes_never_panic() {
    let sample = Sample::new();
    let header = sample
        .bytes
        .windows(8)
        .position(|window| window == b"blk.1.ff")
        .unwrap();
    for place in 0..header {
        let mut spoiled = sample.bytes.clone();
        spoiled[place] ^= 0xFF;
        drop(sample.open(&spoiled));
    }
}

#[test]
fn absurd_counts_are_refused_before_memory_is_taken() {
    let sample = Sample::new();
    for place in [8, 16] {
        for count in [u64::MAX, 1 << 40] {
            let mut spoiled = sample.bytes.clone();
            spoiled[place..place + 8].copy_from_slice(&count.to_le_bytes());
            assert!(matches!(sample.open(&spoiled), Err(Error::BadModel { .. })));
        }
    }
    let tokens = sample.spoiled("tokenizer.ggml.tokens", 8, &u64::MAX.to_le_bytes());
    assert!(
        tokens.to_string().contains("tokenizer.ggml.tokens"),
        "{tokens}"
    );
}

#[test]
fn impossible_tensors_are_named() {
    let sample = Sample::new();
    // After a tensor's name: rank (4 bytes), dimensions (8 each), type (4), offset (8).
    let name = "blk.0.attn_q.weight";
    let cases: [(usize, &[u8]); 6] = [
        (0, &9u32.to_le_bytes()),
        (4, &u64::MAX.to_le_bytes()),
        (4, &0u64.to_le_bytes()),
        (4, &33u64.to_le_bytes()),
        (20, &77u32.to_le_bytes()),
        (24, &(u64::MAX - 64).to_le_bytes()),
    ];
    for (skip, bytes) in cases {
        match sample.spoiled(name, skip, bytes) {
            Error::BadTensor { tensor, path, .. } => {
                assert_eq!(
                    (tensor.as_str(), path.as_path()),
                    (name, sample.path.as_path())
                );
            }
            other => panic!("{skip}: {other:?}"),
        }
    }
    let unknown = sample.spoiled(name, 20, &19u32.to_le_bytes()).to_string();
    assert!(
        unknown.contains("type 19 is not supported") && unknown.contains("Q4_K"),
        "{unknown}"
    );
}

#[test]
fn a_bad_alignment_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sample.gguf");
    for alignment in [0, 3, 48] {
        let mut model = TinyModel::new("llama");
        model.set("general.alignment", Value::U32(alignment));
        model.write(&path);
        let error = ModelFile::open(&path).unwrap_err().to_string();
        assert!(error.contains("general.alignment"), "{error}");
    }
}

#[test]
fn values_of_the_wrong_type_are_named() {
    let sample = Sample::new();
    let file = sample.open(&sample.bytes).unwrap();
    let errors = [
        file.required_string("llama.block_count").unwrap_err(),
        file.required_size("general.architecture").unwrap_err(),
        file.required_floats("tokenizer.ggml.tokens").unwrap_err(),
        file.required_strings("nothing.here").unwrap_err(),
    ];
    let names = [
        "llama.block_count",
        "general.architecture",
        "tokenizer.ggml.tokens",
        "nothing.here",
    ];
    for (error, name) in errors.iter().zip(names) {
        assert!(error.to_string().contains(name), "{error}");
    }
}
