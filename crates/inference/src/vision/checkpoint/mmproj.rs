//! The configuration of llama.cpp's second file, `mmproj`: the vision half as GGUF.
//!
//! Keys and names as llama.cpp's converter writes them for Idefics3 and SmolVLM.

use super::super::VisionConfig;
use crate::Result;
use crate::model_file::ModelFile;

/// What llama.cpp assumes if the file does not say.
const SCALE_FACTOR: usize = 2;

/// Reads and checks the keys.
pub(super) fn read(file: &ModelFile) -> Result<VisionConfig> {
    check_kind(file)?;
    let size = |key: &str| file.required_size(&format!("clip.vision.{key}"));
    let image_size = size("image_size")?;
    let epsilon = "clip.vision.attention.layer_norm_epsilon";
    let epsilon = file.float(epsilon)?;
    Ok(VisionConfig {
        hidden: size("embedding_length")?,
        blocks: size("block_count")?,
        heads: size("attention.head_count")?,
        inner: size("feed_forward_length")?,
        image_size,
        patch_size: size("patch_size")?,
        epsilon: epsilon.ok_or_else(|| file.bad("it does not say the norms' epsilon"))?,
        scale_factor: optional_size(file, "projector.scale_factor")?.unwrap_or(SCALE_FACTOR),
        text_width: size("projection_dim")?,
        longest_edge: optional_size(file, "preproc_image_size")?.unwrap_or(image_size),
        mean: channels(file, "clip.vision.image_mean")?,
        std: channels(file, "clip.vision.image_std")?,
    })
}

/// That it is a vision half of the one kind that is known.
fn check_kind(file: &ModelFile) -> Result<()> {
    let architecture = file.required_string("general.architecture")?;
    if architecture != "clip" {
        return Err(file.unsupported("architecture of a vision file", architecture, "clip"));
    }
    let projector = match file.string("clip.projector_type")? {
        Some(projector) => projector,
        None => file.required_string("clip.vision.projector_type")?,
    };
    if projector != "idefics3" {
        return Err(file.unsupported("projector type", projector, "idefics3"));
    }
    // Without either, llama.cpp takes the activation for a third one.
    let gelu = file.boolean("clip.use_gelu")?.unwrap_or(false);
    if !gelu || file.boolean("clip.use_silu")?.unwrap_or(false) {
        return Err(file.unsupported("activation", "other than GELU", "GELU (clip.use_gelu)"));
    }
    Ok(())
}

fn optional_size(file: &ModelFile, key: &str) -> Result<Option<usize>> {
    let key = format!("clip.vision.{key}");
    match file.integer(&key)? {
        None => Ok(None),
        Some(_) => file.required_size(&key).map(Some),
    }
}

fn channels(file: &ModelFile, key: &str) -> Result<[f32; 3]> {
    let values = file.required_floats(key)?;
    let count = values.len();
    let channels = <[f32; 3]>::try_from(values);
    channels.map_err(|_| file.bad(format!("{key} has {count} values, but must have 3")))
}
