//! Shapes by the names of the models that have them.

use std::fmt;
use std::str::FromStr;

use longtrainer_inference::{EncoderShape, TextShape, VisionShape};

use super::ShapeTest;
use super::error::BenchError;

/// The names of all shapes.
pub const SHAPE_NAMES: &str = "llama-8b, llama-3b, llama-1b, smollm2-1.7b, smollm2-360m, smollm2-135m, \
                               smolvlm-256m, smolvlm-500m, minilm-l6, bge-base, tiny-text, tiny-vision or \
                               tiny-encoder";

/// The shape of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub(super) name: &'static str,
    pub(super) kind: ShapeKind,
}

impl Shape {
    /// Whether a test is one of models of this kind.
    pub fn can(&self, test: ShapeTest) -> bool {
        match test {
            ShapeTest::Embedding(_) | ShapeTest::Saturated(_) => {
                matches!(self.kind, ShapeKind::Encoder(_))
            }
            ShapeTest::Text(_) => !matches!(self.kind, ShapeKind::Encoder(_)),
            ShapeTest::Frame => matches!(self.kind, ShapeKind::Vision(..)),
        }
    }
}

/// What kind of model it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShapeKind {
    Text(TextShape),
    Encoder(EncoderShape),
    /// A vision half and the text model behind it.
    Vision(VisionShape, TextShape),
}

const LLAMA_8B: TextShape = TextShape {
    blocks: 32,
    hidden: 4096,
    feed_forward: 14_336,
    heads: 32,
    kv_heads: 8,
    head_dim: 128,
    vocabulary: 128_256,
    context: 8192,
    ties_embedding: false,
};

const LLAMA_3B: TextShape = TextShape {
    blocks: 28,
    hidden: 3072,
    feed_forward: 8192,
    heads: 24,
    ties_embedding: true,
    ..LLAMA_8B
};

const LLAMA_1B: TextShape = TextShape {
    blocks: 16,
    hidden: 2048,
    feed_forward: 8192,
    head_dim: 64,
    ties_embedding: true,
    ..LLAMA_8B
};

const SMOLLM2_135M: TextShape = TextShape {
    blocks: 30,
    hidden: 576,
    feed_forward: 1536,
    heads: 9,
    kv_heads: 3,
    head_dim: 64,
    vocabulary: 49_152,
    context: 8192,
    ties_embedding: true,
};

const SMOLLM2_360M: TextShape = TextShape {
    blocks: 32,
    hidden: 960,
    feed_forward: 2560,
    heads: 15,
    kv_heads: 5,
    ..SMOLLM2_135M
};

const SMOLLM2_1B7: TextShape = TextShape {
    blocks: 24,
    hidden: 2048,
    feed_forward: 8192,
    heads: 32,
    kv_heads: 32,
    ..SMOLLM2_135M
};

const SIGLIP_BASE: VisionShape = VisionShape {
    blocks: 12,
    hidden: 768,
    inner: 3072,
    heads: 12,
    image_size: 512,
    patch_size: 16,
    scale_factor: 4,
    text_width: SMOLLM2_135M.hidden,
};

const MINILM_L6: EncoderShape = EncoderShape {
    layers: 6,
    hidden: 384,
    inner: 1536,
    heads: 12,
    vocabulary: 30_522,
    positions: 512,
};

const BGE_BASE: EncoderShape = EncoderShape {
    layers: 12,
    hidden: 768,
    inner: 3072,
    ..MINILM_L6
};

const TINY_TEXT: TextShape = TextShape {
    blocks: 2,
    hidden: 64,
    feed_forward: 128,
    heads: 4,
    kv_heads: 2,
    head_dim: 16,
    vocabulary: 512,
    context: 256,
    ties_embedding: true,
};

const TINY_VISION: VisionShape = VisionShape {
    blocks: 2,
    hidden: 64,
    inner: 128,
    heads: 4,
    image_size: 64,
    patch_size: 16,
    scale_factor: 2,
    text_width: TINY_TEXT.hidden,
};

const TINY_ENCODER: EncoderShape = EncoderShape {
    layers: 2,
    hidden: 64,
    inner: 128,
    heads: 4,
    vocabulary: 1000,
    positions: 128,
};

/// All shapes. The last three are for tests, which have no time.
const SHAPES: [(&str, ShapeKind); 13] = [
    ("llama-8b", ShapeKind::Text(LLAMA_8B)),
    ("llama-3b", ShapeKind::Text(LLAMA_3B)),
    ("llama-1b", ShapeKind::Text(LLAMA_1B)),
    ("smollm2-1.7b", ShapeKind::Text(SMOLLM2_1B7)),
    ("smollm2-360m", ShapeKind::Text(SMOLLM2_360M)),
    ("smollm2-135m", ShapeKind::Text(SMOLLM2_135M)),
    ("smolvlm-256m", ShapeKind::Vision(SIGLIP_BASE, SMOLLM2_135M)),
    (
        "smolvlm-500m",
        ShapeKind::Vision(
            VisionShape {
                text_width: SMOLLM2_360M.hidden,
                ..SIGLIP_BASE
            },
            SMOLLM2_360M,
        ),
    ),
    ("minilm-l6", ShapeKind::Encoder(MINILM_L6)),
    ("bge-base", ShapeKind::Encoder(BGE_BASE)),
    ("tiny-text", ShapeKind::Text(TINY_TEXT)),
    ("tiny-vision", ShapeKind::Vision(TINY_VISION, TINY_TEXT)),
    ("tiny-encoder", ShapeKind::Encoder(TINY_ENCODER)),
];

impl FromStr for Shape {
    type Err = BenchError;

    fn from_str(name: &str) -> Result<Self, BenchError> {
        let found = SHAPES.iter().find(|(known, _)| *known == name);
        let unknown = || BenchError::UnknownShape {
            name: name.to_owned(),
            expected: SHAPE_NAMES,
        };
        let (name, kind) = found.ok_or_else(unknown)?;
        Ok(Self { name, kind: *kind })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_are_told_and_read() {
        let told = SHAPE_NAMES.replace(" or ", ", ");
        let told: Vec<&str> = told.split(", ").collect();
        let known: Vec<&str> = SHAPES.iter().map(|(name, _)| *name).collect();
        assert_eq!(told, known);
        for name in known {
            assert_eq!(name.parse::<Shape>().unwrap().to_string(), name);
        }
        let error = "gpt-5".parse::<Shape>().unwrap_err().to_string();
        assert!(
            error.contains("\"gpt-5\"") && error.contains("llama-8b"),
            "{error}"
        );
    }

    /// As published: what a made-up model is quoted for must be of the real one's size.
    #[test]
    fn shapes_have_as_many_weights_as_their_models() {
        let weights = |shape: &TextShape| {
            let heads = 2 * shape.heads + 2 * shape.kv_heads;
            let block = shape.hidden * (heads * shape.head_dim + 3 * shape.feed_forward);
            let tables = if shape.ties_embedding { 1 } else { 2 };
            shape.blocks * block + tables * shape.vocabulary * shape.hidden
        };
        let millions = |shape| (weights(shape) as f64 / 1e6).round() as usize;
        assert_eq!(millions(&LLAMA_8B), 8030);
        assert_eq!(millions(&LLAMA_1B), 1236);
        assert_eq!(millions(&SMOLLM2_135M), 134);
    }
}
