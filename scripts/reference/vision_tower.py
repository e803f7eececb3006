#!/usr/bin/env python3
"""Reference values of the vision half (tower and connector) of Idefics3, from transformers in f32.

    pip install torch transformers
    python scripts/reference/vision_tower.py > crates/inference/tests/data/vision_tower.json

Weights are made by a generator that the tests have too: the values of a tensor follow from its name, so
that nothing but results is stored. `--checkpoint DIR --case NAME` writes a case as a folder of the hub
instead, for benchmarks and for llama.cpp's converter, which made the kept `mmproj` file:

    python scripts/reference/vision_tower.py --checkpoint DIR --case converted --dtype float32
    python convert_hf_to_gguf.py --mmproj --outtype f16 --outfile vision_tower_mmproj.gguf DIR
"""

import argparse
import json
import math
import pathlib
import sys

import numpy
import torch
from transformers import Idefics3Config
from transformers.models.idefics3.modeling_idefics3 import Idefics3Connector, Idefics3VisionTransformer

# Sizes, and the states and tokens that are stored whole.
CASES = {
    # Heads of 72 values as in SO400M, patches of an odd number of values, squares of three.
    "heads_of_72": dict(hidden=144, blocks=2, heads=2, inner=192, image=54, patch=9, scale=3, text=48,
                        states=[0, 7, 35], tokens=[0, 3]),
    # The demo's frames, and its heads of 64.
    "heads_of_64": dict(hidden=192, blocks=2, heads=3, inner=384, image=64, patch=8, scale=2, text=96,
                        states=[0, 9, 63], tokens=[0, 5, 15]),
    # Heads of 32, and pixels left over beside the patches.
    "heads_of_32": dict(hidden=64, blocks=2, heads=2, inner=96, image=35, patch=4, scale=4, text=48,
                        states=[0, 1, 63], tokens=[0, 1, 2, 3]),
    # SmolVLM-256M.
    "256m": dict(hidden=768, blocks=12, heads=12, inner=3072, image=512, patch=16, scale=4, text=576,
                 states=[0, 1023], tokens=[0, 63]),
}
# For a file of llama.cpp's converter that is small enough to be kept.
FOR_CONVERTER = dict(hidden=32, blocks=1, heads=2, inner=64, image=16, patch=4, scale=2, text=32)
EPSILON = 1e-6


def generated(name: str, count: int) -> numpy.ndarray:
    """Numbers in -1 .. 1 that follow from a name: SplitMix64, seeded with the name's FNV-1a hash."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) % 2**64
    z = numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15) + numpy.uint64(seed)
    z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    z ^= z >> numpy.uint64(31)
    return (z >> numpy.uint64(40)).astype(numpy.float32) * numpy.float32(2.0**-23) - numpy.float32(1)


def values(name: str, shape: tuple) -> numpy.ndarray:
    """A tensor: weights keep the size of what they are multiplied with, queries and keys grow it so that
    attention is not even; norms' scales are about 1, all else is small."""
    numbers = generated(name, math.prod(shape))
    if "norm" in name and name.endswith("weight"):
        numbers = numpy.float32(1) + numpy.float32(0.25) * numbers
    elif name.endswith("bias"):
        numbers = numpy.float32(0.125) * numbers
    elif "position_embedding" in name:
        numbers = numpy.float32(0.5) * numbers
    else:
        gain = 1.5 if "q_proj" in name or "k_proj" in name else 1.0
        numbers = numpy.float32(gain * math.sqrt(3 / math.prod(shape[1:]))) * numbers
    return numbers.reshape(shape)


def config_of(case: dict) -> Idefics3Config:
    return Idefics3Config(
        scale_factor=case["scale"],
        vision_config=dict(
            hidden_size=case["hidden"], num_hidden_layers=case["blocks"], num_attention_heads=case["heads"],
            intermediate_size=case["inner"], image_size=case["image"], patch_size=case["patch"],
            hidden_act="gelu_pytorch_tanh", layer_norm_eps=EPSILON,
        ),
        text_config=dict(
            model_type="llama", hidden_size=case["text"], num_hidden_layers=1, num_attention_heads=1,
            intermediate_size=case["text"], vocab_size=32,
        ),
    )


def load(module: torch.nn.Module, prefix: str) -> torch.nn.Module:
    """Fills a module with the tensors of its names."""
    state = {
        name: torch.from_numpy(values(prefix + name, tuple(tensor.shape)))
        for name, tensor in module.state_dict().items()
        if "position_ids" not in name
    }
    module.load_state_dict(state)
    return module.eval()


def modules(case: dict):
    config = config_of(case)
    tower = load(Idefics3VisionTransformer(config.vision_config), "model.vision_model.")
    return tower, load(Idefics3Connector(config), "model.connector.")


def frame(case: dict) -> torch.Tensor:
    size = case["image"]
    return torch.from_numpy(generated("pixels", 3 * size * size).reshape(1, 3, size, size).copy())


def reference(case: dict) -> dict:
    tower, connector = modules(case)
    with torch.inference_mode():
        states = tower(frame(case)).last_hidden_state
        tokens = connector(states)[0]
    rows = lambda tensor, which: {str(row): [round(x, 6) for x in tensor[row].tolist()] for row in which}
    norms = lambda tensor: [round(x, 4) for x in tensor.norm(dim=-1).tolist()]
    return {
        "states": rows(states[0], case["states"]),
        "state_norms": norms(states[0]),
        "tokens": rows(tokens, case["tokens"]),
        "token_norms": norms(tokens),
    }


def write_checkpoint(case: dict, folder: pathlib.Path, dtype: torch.dtype):
    """The case's vision half as a folder of the hub."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tower, connector = modules(case)
    state = {"model.vision_model." + name: tensor for name, tensor in tower.state_dict().items()}
    state |= {"model.connector." + name: tensor for name, tensor in connector.state_dict().items()}
    state = {name: tensor.to(dtype).contiguous() for name, tensor in state.items() if "position_ids" not in name}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    config = config_of(case).to_dict() | {"architectures": ["Idefics3ForConditionalGeneration"]}
    (folder / "config.json").write_text(json.dumps(config, indent=1, default=str))
    preprocessor = {
        "image_processor_type": "Idefics3ImageProcessor",
        "size": {"longest_edge": 4 * case["image"]}, "max_image_size": {"longest_edge": case["image"]},
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=pathlib.Path)
    parser.add_argument("--case", choices=[*CASES, "converted"], default="256m")
    parser.add_argument("--dtype", choices=["float32", "float16", "bfloat16"], default="bfloat16")
    arguments = parser.parse_args()
    if arguments.checkpoint:
        case = CASES.get(arguments.case, FOR_CONVERTER)
        write_checkpoint(case, arguments.checkpoint, getattr(torch, arguments.dtype))
        return
    results = {}
    for name, case in CASES.items():
        print(name, file=sys.stderr)
        sizes = {key: size for key, size in case.items() if isinstance(size, int)}
        results[name] = {"sizes": sizes | {"epsilon": EPSILON}} | reference(case)
    json.dump(results, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
