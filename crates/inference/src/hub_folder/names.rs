//! What tensors are called on the hub, and in GGUF.

/// Parts of a block that most architectures have.
const PARTS: [(&str, &str); 16] = [
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    // Gate and up as one matrix, which GGUF calls so.
    ("mlp.gate_up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    // Of Gemma 2 and 3, whose norm of this name comes after the attention, not before what follows.
    ("post_attention_layernorm", "post_attention_norm"),
];

/// What one architecture's names begin with, and which of them are not of the text model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names {
    /// Before the names of the text model, but for its head.
    pub(super) prefix: &'static str,
    /// Whether what attention and feed-forward part add is normed, too.
    pub(super) has_post_norms: bool,
    /// Beginnings of the names of what sees.
    pub(super) ignored: &'static [&'static str],
}

/// What a tensor is here.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A tensor of the text model, by its name in GGUF.
    Text(String),
    /// A tensor of the half that looks at pictures, or one that can be computed.
    Ignored,
    /// A tensor that nobody knows.
    Unknown,
}

impl Names {
    /// What a tensor is.
    pub(super) fn of(&self, name: &str) -> Named {
        let is_ignored = self.ignored.iter().any(|start| name.starts_with(start));
        // Old files keep the frequencies of the rotary embedding.
        if is_ignored || name.ends_with("rotary_emb.inv_freq") {
            return Named::Ignored;
        }
        let known = match name.strip_prefix(self.prefix) {
            _ if name == "lm_head.weight" => Some("output.weight".to_owned()),
            Some("embed_tokens.weight") => Some("token_embd.weight".to_owned()),
            Some("norm.weight") => Some("output_norm.weight".to_owned()),
            Some(rest) => self.of_block(rest),
            None => None,
        };
        known.map_or(Named::Unknown, Named::Text)
    }

    /// What a tensor, or a map without its `.weight`, would be called here, by its name in GGUF; that name
    /// if there is no other.
    pub(crate) fn published(&self, name: &str) -> String {
        if name.ends_with(".weight") || name.ends_with(".bias") {
            return self.published_tensor(name);
        }
        let weight = self.published_tensor(&format!("{name}.weight"));
        weight.strip_suffix(".weight").unwrap_or(name).to_owned()
    }

    fn published_tensor(&self, name: &str) -> String {
        match name {
            "output.weight" => return "lm_head.weight".to_owned(),
            "token_embd.weight" => return format!("{}embed_tokens.weight", self.prefix),
            "output_norm.weight" => return format!("{}norm.weight", self.prefix),
            _ => (),
        }
        let split = name.strip_prefix("blk.").and_then(|rest| {
            let (block, part) = rest.split_once('.')?;
            Some((block, part.rsplit_once('.')?))
        });
        let Some((block, (part, kind))) = split else {
            return name.to_owned();
        };
        let candidates = PARTS.iter().filter(|(_, ours)| *ours == part);
        let candidates =
            candidates.map(|(theirs, _)| format!("{}layers.{block}.{theirs}.{kind}", self.prefix));
        let mut theirs =
            candidates.filter(|candidate| self.of(candidate) == Named::Text(name.to_owned()));
        theirs.next().unwrap_or_else(|| name.to_owned())
    }

    /// `layers.7.self_attn.q_proj.weight` -> `blk.7.attn_q.weight`
    fn of_block(&self, name: &str) -> Option<String> {
        let (block, part) = name.strip_prefix("layers.")?.split_once('.')?;
        // A number that is written in another way would make two names of one.
        let is_number = block.parse::<usize>().is_ok_and(|n| n.to_string() == block);
        let (part, kind) = part.rsplit_once('.')?;
        if !is_number || !matches!(kind, "weight" | "bias") {
            return None;
        }
        let mut known = PARTS.iter().filter(|(theirs, _)| *theirs == part);
        let (_, ours) = match self.has_post_norms {
            true => known.next_back()?,
            false => known.next()?,
        };
        Some(format!("blk.{block}.{ours}.{kind}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Names = Names {
        prefix: "model.",
        has_post_norms: false,
        ignored: &[],
    };

    fn named(names: Names, name: &str) -> Option<String> {
        match names.of(name) {
            Named::Text(name) => Some(name),
            Named::Ignored | Named::Unknown => None,
        }
    }

    #[test]
    fn names_are_translated() {
        for (theirs, ours) in [
            ("lm_head.weight", "output.weight"),
            ("model.embed_tokens.weight", "token_embd.weight"),
            ("model.norm.weight", "output_norm.weight"),
            (
                "model.layers.0.mlp.down_proj.weight",
                "blk.0.ffn_down.weight",
            ),
            (
                "model.layers.12.self_attn.q_proj.bias",
                "blk.12.attn_q.bias",
            ),
            (
                "model.layers.3.post_attention_layernorm.weight",
                "blk.3.ffn_norm.weight",
            ),
        ] {
            assert_eq!(named(PLAIN, theirs).as_deref(), Some(ours));
            assert_eq!(PLAIN.published(ours), theirs);
        }
        let gemma = Names {
            has_post_norms: true,
            ..PLAIN
        };
        let norm = named(gemma, "model.layers.3.post_attention_layernorm.weight");
        assert_eq!(norm.as_deref(), Some("blk.3.post_attention_norm.weight"));
        let norm = named(gemma, "model.layers.3.pre_feedforward_layernorm.weight");
        assert_eq!(norm.as_deref(), Some("blk.3.ffn_norm.weight"));
        let published = gemma.published("blk.3.ffn_norm.weight");
        assert_eq!(published, "model.layers.3.pre_feedforward_layernorm.weight");
        let map = gemma.published("blk.3.ffn_norm");
        assert_eq!(map, "model.layers.3.pre_feedforward_layernorm");
        for unknown in ["rope_freqs.weight", "blk.x", "blk.0.else.weight", ""] {
            assert_eq!(gemma.published(unknown), unknown);
        }
    }

    #[test]
    fn what_is_not_of_the_text_model_is_told_apart() {
        let names = Names {
            prefix: "model.text_model.",
            has_post_norms: false,
            ignored: &["model.vision_model."],
        };
        assert_eq!(
            names.of("model.vision_model.post_layernorm.bias"),
            Named::Ignored
        );
        let frequencies = "model.text_model.layers.0.self_attn.rotary_emb.inv_freq";
        assert_eq!(names.of(frequencies), Named::Ignored);
        for unknown in [
            "model.layers.0.mlp.down_proj.weight",
            "model.text_model.layers.0.mlp.down_proj.scales",
            "model.text_model.layers.00.mlp.down_proj.weight",
            "model.text_model.layers.0.mlp.experts.weight",
            "model.text_model.layers.0",
            "",
        ] {
            assert_eq!(names.of(unknown), Named::Unknown, "{unknown}");
        }
    }
}
