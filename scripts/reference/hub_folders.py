"""Writes what transformers makes of tiny text models in folders, and of prompts with pictures.

    pip install torch transformers pillow
    python scripts/reference/hub_folders.py > crates/inference/tests/data/hub_folders.json

The weights are not written down: a generator of 64-bit numbers makes them, here and in the tests, tensor by
tensor in the order of the names. A value is `offset + (byte >> shift) * scale`, so that it is exact in
bf16, f16 and f32 alike, and the logits here, computed in f32, are those of a file in any of the three.

`models` holds a model of each architecture: its `config.json` as transformers saves it, names and shapes
of its tensors, and the logits after some tokens with the tokens that follow greedily. The first is an
Idefics3 with both halves, of which only the one that reads is asked.

`prompts` holds chats with pictures and the tokens that `Idefics3Processor` makes of them, for a
vocabulary in which the places of a picture's parts are tokens (as in SmolVLM-256M) and for one in
which they are spelled out (as in SmolVLM-2.2B).
"""

import json
import os
import sys
import tempfile

import torch
from PIL import Image
from safetensors import safe_open
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaForCausalLM,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.models.idefics3 import Idefics3Processor
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

TILE = 32
TOKENS_A_FRAME = 4
TEXT = [1, 20, 33, 7, 300, 12, 299, 45, 45, 8, 100, 2]

FAKE, IMAGE, END = "<fake_token_around_image>", "<image>", "<end_of_utterance>"
PARTS = ["<global-img>"] + [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]

# In the manner of SmolVLM's.
TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)

CORPUS = [
    "What is in this picture? A red circle, a blue square and 12 green triangles.\n\n",
    "Can you describe the image? It shows a dog and a cat on a mat.\n\nUser: Assistant: System:",
    "How many shapes are there?\nThere are 3 shapes.\n\nThe picture shows rows and columns.\n",
] * 20


class Weights:
    """The generator of all weights."""

    def __init__(self):
        self.state = 1

    def tensor(self, dims, offset, shift, scale):
        values = []
        for _ in range(torch.Size(dims).numel()):
            self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
            byte = self.state >> 56
            byte = byte - 256 if byte > 127 else byte
            values.append(offset + (byte >> shift) * scale)
        return torch.tensor(values, dtype=torch.float32).reshape(dims)


def recipe(name, dims, less_one):
    """Offset, shift and scale of a tensor's values."""
    if name.endswith(("norm.weight", "norm1.weight", "norm2.weight")):
        return [0 if less_one else 1, 1, 1 / 128]
    if name.endswith(("embed_tokens.weight", "lm_head.weight")):
        return [0, 0, 1 / 64]
    return [0, 0, 1 / 512]


def filled(model, folder, less_one):
    """Fills a model and returns what its saved tensors are like, in the order of their names."""
    model.save_pretrained(folder)
    with safe_open(os.path.join(folder, "model.safetensors"), "pt") as file:
        shapes = {name: list(file.get_slice(name).get_shape()) for name in sorted(file.keys())}
    weights = Weights()
    state = model.state_dict()
    tensors = []
    for name, dims in shapes.items():
        numbers = recipe(name, dims, less_one)
        state[name].copy_(weights.tensor(dims, *numbers))
        tensors.append([name, dims, *numbers])
    return tensors


def described(model, tokens, new_tokens, less_one=False):
    with tempfile.TemporaryDirectory() as folder:
        model = model.eval().to(torch.float32)
        with torch.no_grad():
            tensors = filled(model, folder, less_one)
            ids = torch.tensor([tokens])
            logits = model(input_ids=ids).logits[0, -1]
            greedy = list(tokens)
            for _ in range(new_tokens):
                next_logits = model(input_ids=torch.tensor([greedy])).logits[0, -1]
                greedy.append(int(next_logits.argmax()))
        with open(os.path.join(folder, "config.json")) as file:
            config = json.load(file)
    return {
        "architecture": config["architectures"][0],
        "config": config,
        "tensors": tensors,
        "tokens": tokens,
        "logits": [round(float(value), 5) for value in logits],
        "greedy": greedy[len(tokens) :],
    }


def text_sizes(vocabulary, **others):
    sizes = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 400,
        "rms_norm_eps": 1e-5,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    return {**sizes, **others}


def idefics3(vocabulary, image, end):
    text = text_sizes(vocabulary, rope_theta=100000.0, eos_token_id=0)
    config = Idefics3Config(
        text_config={"model_type": "llama", **text},
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": TILE,
            "patch_size": 8,
        },
        image_token_id=image,
        scale_factor=2,
        tie_word_embeddings=False,
        eos_token_id=end,
    )
    return Idefics3ForConditionalGeneration(config)


def families():
    """A small model of each architecture, for 12 tokens of a vocabulary of 40."""
    eager = {"attn_implementation": "eager"}
    sizes = lambda **others: text_sizes(40, **others, **eager)
    llama3 = {
        "rope_type": "llama3",
        "rope_theta": 10000.0,
        "factor": 4.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    }
    longrope = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0, 1.5, 2.0],
        "long_factor": [2.0, 4.0, 8.0],
    }
    layers = ["sliding_attention", "full_attention"]
    gemma = {"head_dim": 16}
    yield LlamaForCausalLM(LlamaConfig(**sizes(rope_parameters=llama3, tie_word_embeddings=True))), False
    linear = {"rope_type": "linear", "rope_theta": 500.0, "factor": 2.0}
    yield LlamaForCausalLM(LlamaConfig(**sizes(rope_parameters=linear, attention_bias=True, head_dim=16))), False
    yield MistralForCausalLM(MistralConfig(**sizes(sliding_window=300))), False
    yield Qwen2ForCausalLM(Qwen2Config(**sizes())), False
    yield Qwen3ForCausalLM(Qwen3Config(**sizes(head_dim=16))), False
    yield GemmaForCausalLM(GemmaConfig(**sizes(**gemma))), True
    yield Gemma2ForCausalLM(
        Gemma2Config(**sizes(**gemma, sliding_window=4, query_pre_attn_scalar=24, layer_types=layers))
    ), True
    yield Gemma3ForCausalLM(
        Gemma3TextConfig(**sizes(**gemma, sliding_window=4, query_pre_attn_scalar=24, layer_types=layers))
    ), True
    yield Phi3ForCausalLM(
        Phi3Config(
            **sizes(
                rope_parameters={**longrope, "partial_rotary_factor": 0.75},
                original_max_position_embeddings=64,
                sliding_window=None,
            )
        )
    ), False


def tokenizer(spells_parts):
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    plain.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    plain.train_from_iterator(CORPUS, trainer)
    plain.add_special_tokens([FAKE, IMAGE, END] + ([] if spells_parts else PARTS))
    return plain


def processor(plain):
    fast = PreTrainedTokenizerFast(
        tokenizer_object=plain,
        bos_token="<|im_start|>",
        eos_token=END,
        unk_token="<|endoftext|>",
        pad_token="<|im_end|>",
    )
    images = Idefics3ImageProcessorPil(max_image_size={"longest_edge": TILE})
    return Idefics3Processor(images, fast, image_seq_len=TOKENS_A_FRAME, chat_template=TEMPLATE)


QUESTION = "Can you describe this image?"

# Longest edge, and turns of role, text, and sizes of pictures.
CHATS = [
    (1, [("user", "Hi there", [])]),
    (1, [("system", "You answer in 1 line.", []), ("user", "Hi", []), ("assistant", "Yes?", []), ("user", "Go", [])]),
    (1, [("user", QUESTION, [(32, 32)])]),
    (1, [("user", QUESTION, [(200, 100)])]),
    (2, [("user", QUESTION, [(64, 32)])]),
    (2, [("user", QUESTION, [(32, 64)])]),
    (2, [("user", QUESTION, [(50, 50)])]),
    (4, [("user", QUESTION, [(300, 300)])]),
    (2, [("user", "\n\nWhat is it? ", [(64, 32), (64, 64)])]),
    (1, [("user", "1 or 2?", [(64, 64)] * 2), ("assistant", "2", []), ("user", "Why?", [(32, 32)])]),
    (2, [("user", QUESTION, [(64, 64)]), ("assistant", " A dog.\n", []), ("user", "How many?", [])]),
    (2, [("system", "Look closely.", []), ("user", "", [(64, 32)])]),
]


def prompts(spells_parts):
    made = processor(tokenizer(spells_parts))
    image_id = made.tokenizer.convert_tokens_to_ids(IMAGE)
    chats = []
    for longest, turns in CHATS:
        messages = [
            {"role": role, "content": [{"type": "image"}] * len(sizes) + [{"type": "text", "text": text}]}
            for role, text, sizes in turns
        ]
        images = [Image.new("RGB", size, (255, 0, 0)) for _, _, sizes in turns for size in sizes]
        options = {"size": {"longest_edge": longest * TILE}, "max_image_size": {"longest_edge": TILE}}
        text = made.apply_chat_template(messages, add_generation_prompt=True)
        grids = []
        if images:
            cut = made.image_processor([images], return_row_col_info=True, **options)
            grids = [[rows, columns] for rows, columns in zip(cut["rows"][0], cut["cols"][0])]
        out = made(text=text, images=[images] if images else None, **options)
        tokens = out["input_ids"][0]
        frames = sum(max(1, rows * columns + (rows > 0)) for rows, columns in grids)
        assert tokens.count(image_id) == frames * TOKENS_A_FRAME
        chats.append({
            "turns": [{"role": role, "content": text, "pictures": len(sizes)} for role, text, sizes in turns],
            "grids": grids,
            "tokens": list(map(int, tokens)),
        })
    return {
        "tokenizer": json.loads(made.tokenizer.backend_tokenizer.to_str()),
        "image": image_id,
        "chats": chats,
    }


def main():
    torch.manual_seed(0)
    named, spelled = prompts(False), prompts(True)
    vocabulary = made_vocabulary = len(named["tokenizer"]["model"]["vocab"]) + 3 + len(PARTS)
    vocabulary = -(-made_vocabulary // 8) * 8
    end = named["image"] + 1
    print(vocabulary, file=sys.stderr)
    seeing = described(idefics3(vocabulary, named["image"], end), TEXT, 32)
    others = [
        described(model, [token % 40 for token in TEXT], 8, less_one) for model, less_one in families()
    ]
    reference = {
        "chat_template": TEMPLATE,
        "tokens_a_frame": TOKENS_A_FRAME,
        "models": [seeing, *others],
        "prompts": [named, spelled],
    }
    json.dump(reference, sys.stdout, ensure_ascii=False, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
