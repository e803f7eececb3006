"""Writes what PEFT makes of a random LoRA adapter on the tests' tiny llama model.

    pip install torch transformers peft safetensors
    python scripts/reference/adapters.py crates/inference/tests/data/adapter

The folder gets the adapter as PEFT saves it, with ranks and alphas that differ by module, and
`logits.json`: the tokens of a text, and the logits after the last without the adapter and with it. The model's weights are the random
numbers of `crates/inference/tests/support/tiny.rs`, which has query and key rows in the order of GGUF
files; transformers gets them in its own.
"""

import json
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

BLOCKS, HIDDEN, HEADS, KV_HEADS, FEED_FORWARD, VOCABULARY = 2, 32, 4, 2, 64, 260
TOKENS = [258, 72, 101, 3, 256, 257, 200, 72, 259]


class Random:
    """The generator of the tests."""

    def __init__(self):
        self.state = 1

    def tensor(self, *shape, size):
        count = torch.Size(shape).numel()
        values = []
        for _ in range(count):
            self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
            values.append(((self.state >> 40) / 2**23 - 1.0) * size)
        return torch.tensor(values, dtype=torch.float32).reshape(shape)


def in_halves(rows, heads):
    """Rows of pairs side by side as rows of pairs half a head apart."""
    outputs, inputs = rows.shape
    pairs = rows.reshape(heads, outputs // heads // 2, 2, inputs)
    return pairs.transpose(1, 2).reshape(outputs, inputs)


def weights():
    """In the order in which the tests draw them."""
    random = Random()
    keys = HIDDEN // HEADS * KV_HEADS
    named = {
        "model.embed_tokens.weight": random.tensor(VOCABULARY, HIDDEN, size=1.0),
        "model.norm.weight": random.tensor(HIDDEN, size=1.0),
    }
    for block in range(BLOCKS):
        def add(name, *shape, size=0.5, heads=None):
            tensor = random.tensor(*shape, size=size)
            tensor = in_halves(tensor, heads) if heads else tensor
            named[f"model.layers.{block}.{name}.weight"] = tensor

        add("self_attn.q_proj", HIDDEN, HIDDEN, heads=HEADS)
        add("self_attn.k_proj", keys, HIDDEN, heads=KV_HEADS)
        add("self_attn.v_proj", keys, HIDDEN)
        add("self_attn.o_proj", HIDDEN, HIDDEN)
        add("input_layernorm", HIDDEN, size=1.0)
        add("post_attention_layernorm", HIDDEN, size=1.0)
        add("mlp.gate_proj", FEED_FORWARD, HIDDEN)
        add("mlp.up_proj", FEED_FORWARD, HIDDEN)
        add("mlp.down_proj", HIDDEN, FEED_FORWARD)
    named["lm_head.weight"] = named["model.embed_tokens.weight"]
    return named


def tiny_llama():
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=FEED_FORWARD,
        num_hidden_layers=BLOCKS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=600,
        rms_norm_eps=1e-5,
        rope_theta=10_000.0,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    model.load_state_dict(weights())
    return model.eval()


def adapted(model):
    config = LoraConfig(
        r=3,
        lora_alpha=6,
        use_rslora=True,
        rank_pattern={"v_proj": 2, r"layers\.1\.mlp\.down_proj": 4},
        alpha_pattern={r"layers\.\d+\.self_attn\.(q|k)_proj": 9},
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(model, config)
    generator = torch.Generator().manual_seed(11)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    tokens = torch.tensor([TOKENS])
    with torch.no_grad():
        model = tiny_llama()
        plain = model(tokens).logits[0]
        model = adapted(model)
        logits = model(tokens).logits[0]
    model.save_pretrained(folder)
    (folder / "README.md").unlink()
    rounded = lambda rows: [[round(value, 5) for value in row] for row in rows.tolist()]
    answer = {"tokens": TOKENS, "plain": rounded(plain[-1:]), "logits": rounded(logits[-1:])}
    (folder / "logits.json").write_text(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
