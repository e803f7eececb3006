//! The tensors of a vision half: what they are called here, in folders of the hub, and in llama.cpp's
//! files.
//!
//! Here they have the hub's names without what stands before all of them. llama.cpp's are those that
//! its converter gives (`v.blk.0.attn_q.weight`).

use super::super::VisionConfig;

pub(in super::super) const PATCH: &str = "embeddings.patch_embedding";
pub(in super::super) const POSITIONS: &str = "embeddings.position_embedding.weight";
pub(in super::super) const LAST_NORM: &str = "post_layernorm";
pub(in super::super) const CONNECTOR: &str = "connector.modality_projection.proj.weight";

/// Parts of a block: with a weight and a bias each, what llama.cpp calls them beside.
const PARTS: [(&str, &str); 8] = [
    ("layer_norm1", "ln1"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.out_proj", "attn_out"),
    ("layer_norm2", "ln2"),
    ("mlp.fc1", "ffn_up"),
    ("mlp.fc2", "ffn_down"),
];

/// A part of a block.
pub(in super::super) fn of_block(block: usize, part: &str) -> String {
    format!("encoder.layers.{block}.{part}")
}

/// All tensors of a vision half.
pub(in super::super) fn all(config: &VisionConfig) -> Vec<String> {
    let blocks = (0..config.blocks)
        .flat_map(|block| PARTS.map(|(part, _)| of_block(block, part)))
        .chain([PATCH.to_owned(), LAST_NORM.to_owned()]);
    let pairs = blocks.flat_map(|part| [format!("{part}.weight"), format!("{part}.bias")]);
    pairs
        .chain([POSITIONS.to_owned(), CONNECTOR.to_owned()])
        .collect()
}

/// The dimensions of a tensor.
pub(in super::super) fn dims(config: &VisionConfig, name: &str) -> Vec<usize> {
    let (hidden, inner) = (config.hidden, config.inner);
    if name == CONNECTOR {
        return vec![config.text_width, config.shuffled()];
    }
    if name == POSITIONS {
        return vec![config.patches(), hidden];
    }
    let matrix = name.ends_with("weight") && !name.contains("norm");
    if name.starts_with(PATCH) && matrix {
        return vec![hidden, 3, config.patch_size, config.patch_size];
    }
    match (name.contains("fc1"), name.contains("fc2"), matrix) {
        (true, _, true) => vec![inner, hidden],
        (true, _, false) => vec![inner],
        (_, true, true) => vec![hidden, inner],
        (_, _, true) => vec![hidden, hidden],
        _ => vec![hidden],
    }
}

/// The name in a folder of the hub.
pub(in super::super) fn hub(name: &str) -> String {
    match name.starts_with("connector.") {
        true => format!("model.{name}"),
        false => format!("model.vision_model.{name}"),
    }
}

/// Whether a tensor of a folder belongs to the vision half.
pub(super) fn is_of_vision(hub_name: &str) -> bool {
    hub_name.starts_with("model.vision_model.") || hub_name.starts_with("model.connector.")
}

/// The name in a file of llama.cpp.
pub(in super::super) fn mmproj(name: &str) -> String {
    let (stem, kind) = name.rsplit_once('.').unwrap_or((name, "weight"));
    let stem = match stem {
        PATCH => "v.patch_embd".to_owned(),
        "embeddings.position_embedding" => "v.position_embd".to_owned(),
        LAST_NORM => "v.post_ln".to_owned(),
        "connector.modality_projection.proj" => "mm.model.fc".to_owned(),
        _ => block_part(stem).unwrap_or_else(|| stem.to_owned()),
    };
    format!("{stem}.{kind}")
}

/// `encoder.layers.3.mlp.fc1` as `v.blk.3.ffn_up`.
fn block_part(stem: &str) -> Option<String> {
    let (number, part) = stem.strip_prefix("encoder.layers.")?.split_once('.')?;
    let (_, theirs) = PARTS.iter().find(|(ours, _)| *ours == part)?;
    Some(format!("v.blk.{number}.{theirs}"))
}

/// For llama.cpp's name of a map of a feed-forward part: the name of the block's map up, and the name
/// with up for down and down for up.
pub(super) fn exchanged(name: &str) -> Option<(String, String)> {
    let (block, part) = name.split_once(".ffn_")?;
    let (way, kind) = part.split_once('.')?;
    let other = match way {
        "up" => "down",
        "down" => "up",
        _ => return None,
    };
    let up = format!("{block}.ffn_up.weight");
    Some((up, format!("{block}.ffn_{other}.{kind}")))
}
