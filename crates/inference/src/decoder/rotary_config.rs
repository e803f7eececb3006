//! The numbers of the rotary embedding, from the metadata of a model.

use longtrainer_kernels::RotaryLayout;

use super::architecture::Architecture;
use crate::Result;
use crate::model_file::ModelFile;

/// How heads are rotated.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RotaryConfig {
    /// Components of a head that are rotated: the first ones.
    pub(crate) width: usize,
    /// Base of the frequencies.
    pub(crate) base: f32,
    /// Base in blocks with a window, where it is another; there positions are not scaled.
    pub(crate) local_base: Option<f32>,
    /// Positions are divided by this (linear scaling).
    pub(crate) scale: f32,
    /// Rotated components are multiplied by this (LongRoPE).
    pub(crate) magnitude: f32,
    /// Tokens up to which the short factors of LongRoPE hold, in files that have two sets.
    pub(crate) original_context: Option<usize>,
    /// How pairs lie.
    pub(crate) layout: RotaryLayout,
}

impl RotaryConfig {
    /// Reads and checks the metadata.
    pub(super) fn from_gguf(
        file: &ModelFile,
        key: &dyn Fn(&str) -> String,
        architecture: &Architecture,
        head_dim: usize,
    ) -> Result<Self> {
        let positive = |name: &str| positive(file, &key(name));
        let local_base = positive("rope.freq_base_swa")?.or(architecture.local_rotary_base);
        Ok(Self {
            width: width(file, key, architecture, head_dim)?,
            base: positive("rope.freq_base")?.unwrap_or(10_000.0),
            local_base,
            scale: scale(file, key)?,
            magnitude: positive("rope.scaling.attn_factor")?.unwrap_or(1.0),
            original_context: original_context(file, key)?,
            // The hub's files have pairs half a head apart, whatever the architecture.
            layout: match file.folder() {
                Some(_) => RotaryLayout::Halves,
                None => architecture.rotary_layout,
            },
        })
    }
}

fn positive(file: &ModelFile, key: &str) -> Result<Option<f32>> {
    match file.float(key)? {
        Some(number) if number <= 0.0 => Err(file.bad(format!(
            "{} is {number}, but must be greater than 0",
            file.field(key)
        ))),
        number => Ok(number),
    }
}

fn width(
    file: &ModelFile,
    key: &dyn Fn(&str) -> String,
    architecture: &Architecture,
    head_dim: usize,
) -> Result<usize> {
    let key = key("rope.dimension_count");
    if file.integer(&key)?.is_none() {
        return Ok(head_dim);
    }
    let width = file.required_size(&key)?;
    if width > head_dim || !width.is_multiple_of(2) {
        let problem = format!(
            "{} is {width}, but must be even and at most {head_dim}",
            file.field(&key)
        );
        return Err(file.bad(problem));
    }
    if width < head_dim && !architecture.rotates_partly {
        let found = format!("rotation and head width {width} and {head_dim}");
        return Err(file.unsupported("attention", found, "equal widths"));
    }
    Ok(width)
}

fn scale(file: &ModelFile, key: &dyn Fn(&str) -> String) -> Result<f32> {
    let kind = file.string(&key("rope.scaling.type"))?.unwrap_or("none");
    match kind {
        // The factors of LongRoPE are tensors.
        "none" | "longrope" => Ok(1.0),
        "linear" => {
            let factor = positive(file, &key("rope.scaling.factor"))?;
            Ok(factor.unwrap_or(1.0))
        }
        other => Err(file.unsupported("rotary scaling", other, "none, linear, longrope")),
    }
}

fn original_context(file: &ModelFile, key: &dyn Fn(&str) -> String) -> Result<Option<usize>> {
    let key = key("rope.scaling.original_context_length");
    match file.integer(&key)? {
        None => Ok(None),
        Some(_) => file.required_size(&key).map(Some),
    }
}
