//! Which matrix an adapter changes, by the names of the two formats.

/// A matrix of a block. The order is that of blocks, and in a block that of names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    /// The block's number.
    pub(crate) block: usize,
    /// The matrix, as GGUF files name it: `attn_q`.
    pub(crate) part: &'static str,
}

/// The matrices that adapters may change, for messages.
pub(super) const SUPPORTED: &str = "adapters change the query, key, value and output matrices of \
                                    attention and the gate, up and down matrices of feed-forward \
                                    parts; this is none of these";

/// Names in GGUF files and in those of PEFT. The joined ones are Phi-3's.
const PARTS: [(&str, &str); 9] = [
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_qkv", "self_attn.qkv_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_up", "mlp.gate_up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// What stands before a block's number: in text models, in the text halves of vision models, and in
/// models that were trained without their head.
const PEFT_PREFIXES: [&str; 5] = [
    "model.layers.",
    "model.text_model.layers.",
    "model.language_model.layers.",
    "language_model.model.layers.",
    "layers.",
];

impl Target {
    /// The target of a tensor pair named `blk.N.attn_q.weight` in a GGUF adapter.
    pub(super) fn from_gguf(name: &str) -> Option<Self> {
        let (block, part) = name.strip_prefix("blk.")?.split_once('.')?;
        let part = part.strip_suffix(".weight")?;
        Self::new(block, |(gguf, _)| *gguf == part)
    }

    /// The target of a module named `model.layers.N.self_attn.q_proj` by PEFT.
    pub(super) fn from_peft(module: &str) -> Option<Self> {
        let mut prefixes = PEFT_PREFIXES.iter();
        let numbered = prefixes.find_map(|prefix| module.strip_prefix(prefix))?;
        let (block, part) = numbered.split_once('.')?;
        Self::new(block, |(_, peft)| *peft == part)
    }

    fn new(block: &str, is_part: impl Fn(&&(&str, &str)) -> bool) -> Option<Self> {
        let (part, _) = PARTS.iter().find(is_part)?;
        let is_number = block.bytes().all(|byte| byte.is_ascii_digit());
        let block = block.parse().ok().filter(|_| is_number)?;
        Some(Self { block, part })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_name_the_same_matrices() {
        let target = |block, part| Some(Target { block, part });
        assert_eq!(
            Target::from_gguf("blk.12.ffn_up.weight"),
            target(12, "ffn_up")
        );
        for prefix in PEFT_PREFIXES {
            let found = Target::from_peft(&format!("{prefix}3.mlp.up_proj"));
            assert_eq!(found, target(3, "ffn_up"));
        }
        let found = Target::from_peft("model.layers.0.self_attn.qkv_proj");
        assert_eq!(found, target(0, "attn_qkv"));
    }

    #[test]
    fn other_matrices_have_no_target() {
        for name in [
            "token_embd.weight",
            "output.weight",
            "blk.0.attn_norm.weight",
            "blk.+1.attn_q.weight",
            "blk.0.attn_q",
            "blk.99999999999999999999999.attn_q.weight",
        ] {
            assert_eq!(Target::from_gguf(name), None, "{name}");
        }
        for module in [
            "lm_head",
            "model.embed_tokens",
            "model.layers.1.input_layernorm",
            "model.layers.x.mlp.up_proj",
            "model.vision_model.encoder.layers.0.self_attn.q_proj",
        ] {
            assert_eq!(Target::from_peft(module), None, "{module}");
        }
    }
}
