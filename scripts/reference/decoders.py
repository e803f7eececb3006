"""Writes what transformers makes of small decoders with made-up weights, in f32 on the CPU.

    pip install torch transformers numpy
    python scripts/reference/decoders.py > crates/inference/tests/data/decoders.json

Each case is an architecture whose weights no test can download: the metadata and the tensors that a
GGUF file of it has, in llama.cpp's names and conventions (Gemma's norms hold 1 + w), the tokens of a
prompt, the logits after some of them, and the tokens that follow when the likeliest is chosen. The
values of a tensor follow from its name, so that tests make the same: `values` says how.
"""

import json
import sys

import numpy
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
)

VOCABULARY, HIDDEN, FEED_FORWARD, HEADS, KV_HEADS, CONTEXT = 96, 64, 128, 4, 2, 128
WINDOW = 16
PROMPT, NEW_TOKENS = 48, 16
# Tokens up to which the short factors of the LongRoPE cases hold.
ORIGINAL_CONTEXT = 32

MASK = (1 << 64) - 1


def values(name: str, dims: list[int], size: float, shift: float) -> torch.Tensor:
    """Numbers in [shift - size, shift + size): 24 bits each of a linear congruential generator
    (Knuth's MMIX) that starts from the FNV-1a hash of the name."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = (state ^ byte) * 0x100000001B3 & MASK
    numbers = []
    for _ in range(int(numpy.prod(dims))):
        state = (state * 6364136223846793005 + 1442695040888963407) & MASK
        numbers.append((state >> 40) / (1 << 23) - 1)
    tensor = numpy.float32(numbers) * numpy.float32(size) + numpy.float32(shift)
    return torch.from_numpy(tensor.reshape(dims))


# Where the parts of a block are in transformers. Norms are vectors and lie around 1.
LINEAR = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_qkv": "self_attn.qkv_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
PLAIN_NORMS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
SANDWICH_NORMS = {
    "attn_norm": "input_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
}


def names(architecture: str, blocks: int) -> dict[str, str]:
    """GGUF names to transformers' names."""
    linear = dict(LINEAR)
    if architecture == "phi3":
        linear["ffn_up"] = "mlp.gate_up_proj"
    norms = SANDWICH_NORMS if architecture in ("gemma2", "gemma3") else PLAIN_NORMS
    pairs = {
        "token_embd": "model.embed_tokens",
        "output_norm": "model.norm",
        "output": "lm_head",
    }
    for block in range(blocks):
        for part, theirs in {**linear, **norms}.items():
            pairs[f"blk.{block}.{part}"] = f"model.layers.{block}.{theirs}"
    return pairs


def fill(model, architecture: str, blocks: int) -> list:
    """Sets all weights; returns name, dimensions, size and shift of each tensor of the file."""
    parameters = dict(model.named_parameters())
    tensors = []
    for name, theirs in names(architecture, blocks).items():
        parameter = parameters.pop(theirs + ".weight", None)
        if parameter is None:
            continue
        is_norm = parameter.dim() == 1
        # A larger embedding would make every token its own likeliest follower.
        embedding = 0.125 if architecture.startswith("gemma") else 0.5
        size, shift = (0.5, 1.0) if is_norm else (embedding if name == "token_embd" else 0.25, 0.0)
        entry = (name + ".weight", list(parameter.shape), size, shift)
        tensors.append(entry)
        weight = values(*entry)
        if is_norm and architecture.startswith("gemma"):
            weight = weight - 1
        with torch.no_grad():
            parameter.copy_(weight)
    assert not parameters, f"no GGUF name for {list(parameters)}"
    return tensors


def metadata(architecture: str, config, own: dict) -> dict:
    common = {
        "block_count": config.num_hidden_layers,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "context_length": config.max_position_embeddings,
    }
    if architecture.startswith("gemma"):
        common |= {"attention.key_length": config.head_dim, "attention.value_length": config.head_dim}
    keys = {f"{architecture}.{key}": value for key, value in (common | own).items()}
    return {"general.architecture": architecture, **keys}


def forward(model, tokens: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([tokens]), use_cache=False).logits[0]


def case(name: str, architecture: str, model, own: dict, prompt: int = PROMPT) -> dict:
    """Answers without transformers' cache, which would keep keys of short factors in long texts."""
    model.eval()
    config = model.config
    tensors = fill(model, architecture, config.num_hidden_layers)
    tokens = [(7 * place * place + 3 * place + 5) % VOCABULARY for place in range(prompt)]
    logits = forward(model, tokens)
    greedy = []
    for _ in range(NEW_TOKENS if prompt == PROMPT else ORIGINAL_CONTEXT - prompt):
        greedy.append(int(forward(model, tokens + greedy)[-1].argmax()))
    return {
        "name": name,
        "metadata": metadata(architecture, config, own),
        "tensors": tensors,
        "tokens": tokens,
        "logits": [
            [place, [round(logit, 6) for logit in logits[place].tolist()]]
            for place in (0, prompt // 2, prompt - 1)
        ],
        "greedy": greedy,
    }


def shape(blocks: int, **own) -> dict:
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "intermediate_size": FEED_FORWARD,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "num_hidden_layers": blocks,
        "max_position_embeddings": CONTEXT,
        "attn_implementation": "eager",
        **own,
    }


def gemma() -> dict:
    config = GemmaConfig(**shape(2, head_dim=32, hidden_act="gelu_pytorch_tanh"))
    return case("gemma", "gemma", GemmaForCausalLM(config), {})


def gemma2() -> dict:
    # Caps low enough to bend the scores and logits of a model as small as this.
    caps = {"attn_logit_softcapping": 1.5, "final_logit_softcapping": 2.0}
    config = Gemma2Config(
        **shape(3, head_dim=32, query_pre_attn_scalar=32, sliding_window=WINDOW, **caps)
    )
    own = {"attention.sliding_window": WINDOW, **caps}
    return case("gemma2", "gemma2", Gemma2ForCausalLM(config), own)


def gemma3() -> dict:
    """Blocks 0 to 4 and 6 are local, and 5 is global, with linear scaling."""
    rotary = {
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1_000_000.0},
    }
    config = Gemma3TextConfig(
        **shape(
            7,
            head_dim=32,
            query_pre_attn_scalar=32,
            sliding_window=WINDOW,
            rope_parameters=rotary,
        )
    )
    own = {
        "attention.sliding_window": WINDOW,
        "rope.freq_base": 1_000_000.0,
        "rope.scaling.type": "linear",
        "rope.scaling.factor": 8.0,
    }
    return case("gemma3", "gemma3", Gemma3ForCausalLM(config), own)


PHI3_TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def phi3_window() -> dict:
    config = Phi3Config(**shape(2, sliding_window=WINDOW, **PHI3_TOKENS))
    own = {
        "attention.sliding_window": WINDOW,
        "rope.dimension_count": HIDDEN // HEADS,
        "rope.scaling.original_context_length": CONTEXT,
    }
    return case("phi3 with a window", "phi3", Phi3ForCausalLM(config), own)


def phi3_long(name: str, prompt: int) -> dict:
    """Phi-4-mini's ways: three quarters of a head are rotated, and the embedding makes the logits."""
    pairs = 6
    rotary = {
        "rope_type": "longrope",
        "rope_theta": 10_000.0,
        "partial_rotary_factor": 0.75,
        "original_max_position_embeddings": ORIGINAL_CONTEXT,
        "short_factor": [1.0 + 0.125 * pair for pair in range(pairs)],
        "long_factor": [1.5 + 2.0 * pair for pair in range(pairs)],
    }
    config = Phi3Config(
        **shape(2, rope_parameters=rotary, tie_word_embeddings=True, **PHI3_TOKENS),
        original_max_position_embeddings=ORIGINAL_CONTEXT,
    )
    model = Phi3ForCausalLM(config)
    own = {
        "attention.sliding_window": 0,
        "rope.dimension_count": 2 * pairs,
        "rope.scaling.original_context_length": ORIGINAL_CONTEXT,
        "rope.scaling.attn_factor": model.model.rotary_emb.attention_scaling,
    }
    entry = case(name, "phi3", model, own, prompt)
    entry["factors"] = {
        "rope_factors_short.weight": rotary["short_factor"],
        "rope_factors_long.weight": rotary["long_factor"],
    }
    return entry


def main() -> None:
    cases = [
        gemma(),
        gemma2(),
        gemma3(),
        phi3_window(),
        phi3_long("phi3 with short factors", ORIGINAL_CONTEXT - 12),
        phi3_long("phi3 with long factors", PROMPT),
    ]
    json.dump(cases, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
