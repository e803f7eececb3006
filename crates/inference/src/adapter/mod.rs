//! LoRA adapters (Hu et al. 2021, <https://arxiv.org/abs/2106.09685>): small changes of a text model,
//! chosen a request at a time.
//!
//! An adapter adds `scale * B A` to some matrices of a model, where `A` and `B` are narrow. They are
//! never added to the weights: a row of a request with an adapter goes through `A` and `B` beside the
//! matrix, so one model in memory serves requests with any adapters and without, in one batch.
//!
//! Two formats are read: [`peft`] and [`gguf`]. [`fit`] compares them with a model, [`bind`] packs
//! them for it.

mod bind;
mod collect;
mod fit;
mod gguf;
mod low_rank;
mod peft;
mod peft_config;
mod rotary_order;
mod sites;
mod target;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use longtrainer_kernels::RotaryLayout;

use crate::error::invalid;
use crate::{Error, Result};

pub(crate) use bind::{AdapterBinder, AppliedAdapter, Place};
pub(crate) use fit::{Fitted, FittedSite};
use low_rank::LowRank;
pub(crate) use sites::{Site, Sites};
use target::Target;

const GGUF_MAGIC: &[u8] = b"GGUF";

/// A LoRA adapter, to be chosen by a request of any model that it fits
/// ([`GenerateRequest::adapter`](crate::GenerateRequest::adapter)). Clones are the same adapter, and
/// share its memory and the answers' prefix cache; loading a file again makes another.
#[derive(Debug, Clone)]
pub struct Adapter {
    inner: Arc<Inner>,
    scale: f32,
}

#[derive(Debug)]
struct Inner {
    /// Never given to another adapter of this process.
    id: u64,
    name: String,
    contents: Contents,
}

/// What a file holds.
#[derive(Debug)]
struct Contents {
    pairs: BTreeMap<Target, LowRank>,
    /// The order of the rows that make queries and keys.
    layout: RotaryLayout,
    /// The architecture of the models that it is for, if the file says.
    architecture: Option<String>,
}

impl Adapter {
    /// Reads an adapter, which messages call `name`: a folder with PEFT's `adapter_config.json` and
    /// `adapter_model.safetensors`, the latter file, or a GGUF file as llama.cpp makes it. Weights are
    /// f32, f16, bf16, or in a GGUF file any type that models may have.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], [`Error::Config`], [`Error::BadModel`] and [`Error::BadTensor`] for files that
    /// are missing, damaged, or change matrices that adapters may not change: embeddings, output head,
    /// norms. [`Error::Unsupported`] for what is no plain LoRA, such as DoRA.
    pub fn load(name: &str, path: &Path) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let contents = if path.is_dir() {
            peft::read(&path.join(peft::TENSORS))?
        } else if is_gguf(path)? {
            gguf::read(path)?
        } else if path.extension().is_some_and(|end| end == "safetensors") {
            peft::read(path)?
        } else {
            return Err(Error::BadModel {
                path: path.to_owned(),
                problem: "it is neither a GGUF nor a safetensors file".to_owned(),
            });
        };
        Ok(Self {
            inner: Arc::new(Inner {
                id: NEXT.fetch_add(1, Ordering::Relaxed),
                name: name.to_owned(),
                contents,
            }),
            scale: 1.0,
        })
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// What its changes are multiplied by; 1 unless [`with_scale`](Self::with_scale) says otherwise.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// The same adapter, its changes multiplied by `scale`: 0.5 is half of them.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if that is no finite number.
    pub fn with_scale(&self, scale: f32) -> Result<Self> {
        if !scale.is_finite() {
            return Err(invalid("adapter.scale", scale, "a finite number"));
        }
        Ok(Self {
            inner: Arc::clone(&self.inner),
            scale,
        })
    }

    fn id(&self) -> u64 {
        self.inner.id
    }

    fn contents(&self) -> &Contents {
        &self.inner.contents
    }

    fn downgrade(&self) -> Weak<Inner> {
        Arc::downgrade(&self.inner)
    }
}

/// Clones are equal, as long as their scales are.
impl PartialEq for Adapter {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id() && self.scale == other.scale
    }
}

/// Whether a file begins like a GGUF file.
fn is_gguf(path: &Path) -> Result<bool> {
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let mut magic = Vec::new();
    let file = File::open(path).map_err(failed)?;
    let mut start = file.take(GGUF_MAGIC.len() as u64);
    start.read_to_end(&mut magic).map_err(failed)?;
    Ok(magic == GGUF_MAGIC)
}

#[cfg(test)]
pub(crate) mod tests;
