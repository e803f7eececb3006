"""The files that the model is kept in: llama.cpp's GGUF forms of a picture encoder and of an adapter."""

import json
import pathlib

import gguf
import numpy as np
import torch
from torch import nn

from . import tower as shape
from .text import ADAPTED, TextModel

LICENCE = "MIT OR Apache-2.0"
TOWER_FILE, ADAPTER_FILE = "mmproj-demo-vision-f16.gguf", "adapter-demo-vision-f16.gguf"
PEFT_NAMES = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def is_half(name: str, parameter: torch.Tensor) -> bool:
    """Matrices are kept in 16 bits; the patch embedding, the position table and vectors are not."""
    return parameter.dim() == 2 and "position_embd" not in name


@torch.no_grad()
def round_to_files(*modules: nn.Module) -> None:
    """Gives every weight the value that its file will hold."""
    for module in modules:
        for name, parameter in module.named_parameters():
            if is_half(name, parameter):
                parameter.copy_(parameter.half().float())


def add(writer: gguf.GGUFWriter, name: str, values: torch.Tensor, half: bool) -> None:
    values = values.detach()
    writer.add_tensor(name, (values.half() if half else values.float()).contiguous().numpy())


def finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def about(writer: gguf.GGUFWriter, kind: str, name: str) -> None:
    writer.add_type(kind)
    writer.add_name(name)
    writer.add_license(LICENCE)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def write_tower(folder: pathlib.Path, tower: shape.Tower, connector: shape.Connector) -> None:
    writer = gguf.GGUFWriter(folder / TOWER_FILE, "clip")
    about(writer, "mmproj", "Longtrainer demo vision")
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("idefics3")
    writer.add_vision_projection_dim(connector.fc.out_features)
    writer.add_vision_image_size(shape.IMAGE)
    writer.add_vision_preproc_image_size(shape.IMAGE)
    writer.add_vision_patch_size(shape.PATCH)
    writer.add_vision_embedding_length(shape.WIDTH)
    writer.add_vision_feed_forward_length(shape.FEED_FORWARD)
    writer.add_vision_block_count(shape.BLOCKS)
    writer.add_vision_head_count(shape.HEADS)
    writer.add_vision_image_mean([0.5] * 3)
    writer.add_vision_image_std([0.5] * 3)
    writer.add_vision_attention_layernorm_eps(shape.EPSILON)
    writer.add_vision_projector_scale_factor(shape.SHUFFLE)
    writer.add_vision_use_gelu(True)
    for name, parameter in tower.named_parameters():
        suffix = ".weight" if name == "position_embd" else ""
        add(writer, f"v.{name}{suffix}", parameter, is_half(name, parameter))
    add(writer, "mm.model.fc.weight", connector.fc.weight, True)
    finish(writer)


def write_adapter(folder: pathlib.Path, text: TextModel) -> None:
    """The adapter's outputs are in the order of the text model's rows, since it was trained in
    front of the same file; rows of q and k need no reordering."""
    writer = gguf.GGUFWriter(folder / ADAPTER_FILE, "llama")
    about(writer, "adapter", "Longtrainer demo vision")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", text.alpha)
    for at, block in enumerate(text.blk):
        for name in ADAPTED:
            for part in ("lora_a", "lora_b"):
                add(writer, f"blk.{at}.{name}.weight.{part}", getattr(block[name], part), True)
    finish(writer)


def write_peft(folder: pathlib.Path, text: TextModel) -> None:
    """The same adapter as PEFT writes one. There the rows of q and k are in two halves a head,
    the first of all pairs and then the second, where GGUF has the two side by side."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for at, block in enumerate(text.blk):
        for name in ADAPTED:
            prefix = f"base_model.model.model.layers.{at}.{PEFT_NAMES[name]}"
            down, up = block[name].lora_a.detach(), block[name].lora_b.detach()
            if name in ("attn_q", "attn_k"):
                heads = up.unflatten(0, (-1, text.head_size // 2, 2))
                up = heads.transpose(1, 2).flatten(0, 2)
            tensors[f"{prefix}.lora_A.weight"] = down.half().contiguous()
            tensors[f"{prefix}.lora_B.weight"] = up.half().contiguous()
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": text.name,
        "r": text.rank, "lora_alpha": text.alpha, "lora_dropout": 0.0, "bias": "none",
        "fan_in_fan_out": False, "inference_mode": True, "use_rslora": False,
        "target_modules": [name.split(".")[1] for name in PEFT_NAMES.values()],
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")


def read_files(folder: pathlib.Path, tower: shape.Tower, connector: shape.Connector, text: TextModel) -> None:
    """Puts the weights of written files back, to measure exactly what they hold."""

    def tensors(file: str) -> dict[str, torch.Tensor]:
        reader = gguf.GGUFReader(folder / file)
        return {tensor.name: torch.from_numpy(np.array(tensor.data, dtype=np.float32)).reshape(
            [int(size) for size in reversed(tensor.shape)]) for tensor in reader.tensors}

    def into(module: nn.Module, values: dict[str, torch.Tensor], named) -> None:
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                parameter.copy_(values.pop(named(name)))

    values = tensors(TOWER_FILE)
    into(tower, values, lambda name: "v." + name + (".weight" if name == "position_embd" else ""))
    into(connector, values, lambda name: "mm.model." + name)
    left = tensors(ADAPTER_FILE)
    into(text, left, lambda name: name.replace(".lora_", ".weight.lora_"))
    if values or left:
        raise SystemExit(f"{folder} holds tensors of another model: {[*values, *left][:3]}")
