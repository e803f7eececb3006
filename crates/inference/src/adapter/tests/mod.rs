//! Adapters against models with the adapter in their weights, and files that are wrong.

mod bad_files;
mod logits;
pub(crate) mod sample;

use std::path::Path;
use std::sync::Arc;

use candle_core::Device;
use candle_core::quantized::GgmlDType;
use longtrainer_kernels::Team;

use super::*;
use crate::decoder::{Decoder, DecoderConfig};
use crate::kernel_decoder::KernelDecoder;
use crate::model_file::ModelFile;
use crate::tiny::TinyModel;
use sample::Sample;

fn open(model: &TinyModel, dtype: GgmlDType) -> ModelFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    model.write_as(&path, dtype);
    ModelFile::open(&path).unwrap()
}

/// Writes files into a folder and loads what is there at `name`.
fn load(name: &str, write: impl FnOnce(&Path)) -> Result<Adapter> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    Adapter::load("sample", &folder.path().join(name))
}

fn from_gguf(sample: &Sample) -> Adapter {
    load("a.gguf", |folder| {
        sample.write_gguf(&folder.join("a.gguf"), GgmlDType::F32)
    })
    .unwrap()
}

fn from_peft(sample: &Sample) -> Adapter {
    load("", |folder| sample.write_peft(folder)).unwrap()
}

fn binder(architecture: &str, file: &ModelFile, place: Place) -> AdapterBinder {
    let config = DecoderConfig::from_gguf(file).unwrap();
    AdapterBinder::new("tiny", architecture, config, place)
}

fn kernel_binder(architecture: &str) -> AdapterBinder {
    let file = open(&TinyModel::new(architecture), GgmlDType::F32);
    binder(architecture, &file, Place::Kernels(Arc::new(Team::alone())))
}
