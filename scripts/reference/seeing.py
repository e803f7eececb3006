#!/usr/bin/env python3
"""Compares answers about pictures with those of transformers in f32, from picture files to tokens.

    pip install torch transformers pillow
    cargo build --release -p longtrainer-benches --bins
    python scripts/reference/seeing.py --worker target/release/seeing --size tiny
    python scripts/reference/seeing.py --worker target/release/seeing --size 256m

Weights are random (fixed seed), in a small shape and in that of SmolVLM-256M but for the vocabulary. A
folder is written as one is published; both sides read it, the same picture files and the same chats:
one frame, four parts and the whole, sixteen and the whole, pictures that are not square and a tiny one,
two pictures in a question, a later question without one.

Prompts must have as many tokens. Of the first token, log probabilities of the likeliest are compared;
then 32 tokens chosen greedily. Those may differ from where the reference's two likeliest are nearer to
each other than the largest difference allowed: that is reported, not hidden. Pictures are made smaller
by each side's own code."""

import argparse
import json
import pathlib
import subprocess
import tempfile

import torch
from PIL import Image
from transformers import Idefics3Config, Idefics3ForConditionalGeneration, PreTrainedTokenizerFast
from transformers.models.idefics3 import Idefics3Processor
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

from hub_folders import END, IMAGE, TEMPLATE, tokenizer

SIZES = {
    "tiny": dict(
        tile=32, patch=8, scale=2,
        vision=dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2),
        text=dict(hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4,
                  num_key_value_heads=2),
    ),
    "256m": dict(
        tile=512, patch=16, scale=4,
        vision=dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12),
        text=dict(hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
                  num_key_value_heads=3),
    ),
}
# How many tiles the longest edge takes.
TILES = {"low": 1, "auto": 2, "high": 4}
NEW_TOKENS, TOP = 32, 20
# The largest difference of a log probability; reference and ours in f32, keys and values of ours in f16.
TOLERANCE = {"f32": 0.05, "bf16": 0.1, "int8": 0.3}


def question(text, *pictures):
    return {"role": "user", "content": text, "pictures": list(pictures)}


def reply(text):
    return {"role": "assistant", "content": text, "pictures": []}


CHATS = [
    ("one frame", "low", [question("What is in this picture?", "square")]),
    ("one frame, wide", "low", [question("What is in this picture?", "wide")]),
    ("one frame, three pixels wide", "low", [question("What is it?", "tiny")]),
    ("four and the whole", "auto", [question("How many shapes are there?", "square")]),
    ("tall, in parts", "auto", [question("How many shapes are there?", "tall")]),
    ("sixteen and the whole", "high", [question("Can you describe the image?", "square")]),
    ("two pictures", "low", [question("Which is red?", "square", "wide")]),
    ("a later question", "low", [question("What is it?", "tall"), reply("A dog."), question("How many?")]),
]


def write_pictures(folder, tile):
    sizes = {"square": (2 * tile, 2 * tile), "wide": (3 * tile, tile), "tall": (tile, 2 * tile + 7), "tiny": (3, 5)}
    for name, (width, height) in sizes.items():
        pixels = [
            ((x * 255) // width, (y * 255) // height, (x * y * 7) % 256 // 2)
            for y in range(height) for x in range(width)
        ]
        picture = Image.new("RGB", (width, height))
        picture.putdata(pixels)
        picture.save(folder / f"{name}.png")


def write_model(size, folder):
    """Both halves, tokenizer and processor as they are published."""
    plain = tokenizer(False)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=plain, bos_token="<|im_start|>", eos_token=END, unk_token="<|endoftext|>",
        pad_token="<|im_end|>",
    )
    images = Idefics3ImageProcessorPil(
        max_image_size={"longest_edge": size["tile"]}, size={"longest_edge": 4 * size["tile"]}
    )
    a_frame = (size["tile"] // size["patch"] // size["scale"]) ** 2
    processor = Idefics3Processor(images, fast, image_seq_len=a_frame, chat_template=TEMPLATE)
    vocabulary = -(-plain.get_vocab_size() // 8) * 8
    end = fast.convert_tokens_to_ids(END)
    config = Idefics3Config(
        text_config={
            "model_type": "llama", "vocab_size": vocabulary, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
            "rope_theta": 100000.0, "bos_token_id": 1, "eos_token_id": end, "pad_token_id": 2,
            # So that a map neither shrinks nor stretches what it is given, as a trained one would not.
            "initializer_range": size["text"]["hidden_size"] ** -0.5, **size["text"],
        },
        vision_config={"image_size": size["tile"], "patch_size": size["patch"], **size["vision"]},
        image_token_id=fast.convert_tokens_to_ids(IMAGE), scale_factor=size["scale"], eos_token_id=end,
        tie_word_embeddings=False,
    )
    torch.manual_seed(5)
    model = Idefics3ForConditionalGeneration(config).eval().to(torch.float32)
    with torch.no_grad():
        model.lm_head.weight *= 2  # So that tokens differ in how likely they are.
        model.lm_head.weight[[0, 1, 2, end]] = 0  # An answer that ends at once compares nothing.
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor


def reference(model, processor, tile, chat, pictures):
    """Number of the prompt's tokens, log probabilities of the first token, greedy tokens, and how far
    the likeliest was before the second at each."""
    _, detail, turns = chat
    options = {"size": {"longest_edge": TILES[detail] * tile}, "max_image_size": {"longest_edge": tile}}
    messages = [
        {"role": turn["role"],
         "content": [{"type": "image"}] * len(turn["pictures"]) + [{"type": "text", "text": turn["content"]}]}
        for turn in turns
    ]
    images = [Image.open(pictures / f"{name}.png").convert("RGB") for turn in turns for name in turn["pictures"]]
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    inputs = processor(text=text, images=[images], return_tensors="pt", **options)
    end = model.config.eos_token_id
    with torch.no_grad():
        made = model.generate(
            **inputs, max_new_tokens=NEW_TOKENS, do_sample=False, output_logits=True, return_dict_in_generate=True,
            eos_token_id=end,
        )
    prompt = inputs["input_ids"].shape[1]
    tokens = made.sequences[0, prompt:].tolist()
    leads = [float(two[0] - two[1]) for two in (logits[0].topk(2).values for logits in made.logits)]
    if end in tokens:
        tokens = tokens[: tokens.index(end)]
    return {"prompt_tokens": prompt, "first": made.logits[0][0].log_softmax(-1), "tokens": tokens, "leads": leads}


class Worker:
    def __init__(self, program, model, precision):
        self.process = subprocess.Popen(
            [program, "--model", model, "--precision", precision], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.isa = self.read()["isa"]

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the worker ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, chat, pictures):
        _, detail, turns = chat
        messages = [{**turn, "pictures": [str(pictures / f"{name}.png") for name in turn["pictures"]]} for turn in turns]
        asked = {"messages": messages, "detail": detail, "max_tokens": NEW_TOKENS, "top": TOP}
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        return self.read()


def compare(chat, expected, found, tolerance):
    """A line of the table, and whether all is as it must be."""
    if not found["top"]:
        print(f"| {chat[0]} | | no token | |")
        return False
    first = {token: logprob for token, logprob in found["top"][0]}
    difference = max(abs(float(expected["first"][token]) - logprob) for token, logprob in first.items())
    ours, theirs = found["tokens"], expected["tokens"]
    same = next((n for n, pair in enumerate(zip(ours, theirs)) if pair[0] != pair[1]), min(len(ours), len(theirs)))
    is_tie = same < len(theirs) and expected["leads"][same] < 2 * tolerance
    lengths = f"{found['prompt_tokens']} / {expected['prompt_tokens']}"
    agreed = f"{same} of {len(theirs)}" + (f" (then a lead of {expected['leads'][same]:.4f})" if is_tie else "")
    print(f"| {chat[0]} | {lengths} | {difference:.5f} | {agreed} |")
    is_right = found["prompt_tokens"] == expected["prompt_tokens"] and difference <= tolerance
    return is_right and (same == len(theirs) or is_tie)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", default="target/release/seeing")
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--precisions", default="f32,bf16", help="of the vision half")
    options = parser.parse_args()
    size = SIZES[options.size]
    with tempfile.TemporaryDirectory() as folder:
        folder, pictures = pathlib.Path(folder) / "model", pathlib.Path(folder)
        write_pictures(pictures, size["tile"])
        model, processor = write_model(size, folder)
        expected = [reference(model, processor, size["tile"], chat, pictures) for chat in CHATS]
        all_right = True
        for precision in options.precisions.split(","):
            worker = Worker(options.worker, folder, precision)
            print(f"\n{options.size}, vision half in {precision} on {worker.isa}, within {TOLERANCE[precision]}:\n")
            print("| chat | prompt tokens, ours / theirs | log probability, largest difference | greedy tokens alike |")
            print("|---|---|---|---|")
            for chat, right in zip(CHATS, expected):
                all_right &= compare(chat, right, worker.ask(chat, pictures), TOLERANCE[precision])
    raise SystemExit(0 if all_right else "they differ")


if __name__ == "__main__":
    main()
