"""The text model as its GGUF file holds it, dequantised, with low-rank adapters in front of it.

Sequences are packed: what several pictures share (the system prompt) comes first, then each
picture's own tokens, one row after another without padding; only attention asks where one ends.
"""

import math

import gguf
import jinja2
import numpy as np
import tokenizers
import torch
from torch import nn
from torch.nn import functional

END = "<|im_end|>"
CONTROL = 3
# The linear layers of a block that get an adapter, by their names in GGUF.
ADAPTED = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]


class Tokenizer:
    """The byte-level BPE of SmolLM2, from the file's vocabulary; digits are cut one by one."""

    def __init__(self, reader: gguf.GGUFReader):
        fields = {name: reader.fields[f"tokenizer.ggml.{name}"].contents() for name in
                  ("pre", "tokens", "token_type", "merges")}
        if fields["pre"] != "smollm":
            raise SystemExit(f"the text model cuts texts by the rules '{fields['pre']}', not 'smollm'")
        vocabulary = {token: at for at, token in enumerate(fields["tokens"])}
        merges = [tuple(merge.split(" ", 1)) for merge in fields["merges"]]
        self.inner = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, merges))
        cut = tokenizers.pre_tokenizers
        self.inner.pre_tokenizer = cut.Sequence(
            [cut.Digits(individual_digits=True), cut.ByteLevel(add_prefix_space=False)]
        )
        self.inner.decoder = tokenizers.decoders.ByteLevel()
        control = [t for t, kind in zip(fields["tokens"], fields["token_type"]) if kind == CONTROL]
        self.inner.add_special_tokens(control)
        self.end = vocabulary[END]

    def ids(self, text: str) -> list[int]:
        return self.inner.encode(text, add_special_tokens=False).ids

    def text(self, ids: list[int]) -> str:
        return self.inner.decode(ids, skip_special_tokens=False)


class Template:
    """The file's chat template, cut where the picture and the question go."""

    def __init__(self, reader: gguf.GGUFReader):
        environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
        self.inner = environment.from_string(reader.fields["tokenizer.chat_template"].contents())

    def around(self, system: str | None) -> tuple[str, str]:
        """What comes before the user's message and what after it. Without `system` the template
        says what it says when a chat has no system message."""
        place = "\N{OBJECT REPLACEMENT CHARACTER}"
        messages = [{"role": "user", "content": place}]
        if system is not None:
            messages.insert(0, {"role": "system", "content": system})
        before, after = self.inner.render(messages=messages, add_generation_prompt=True).split(place)
        return before, after


class Linear(nn.Module):
    """A frozen linear layer with an adapter: y = W x + scale B A x."""

    def __init__(self, weight: torch.Tensor, rank: int, scale: float, product, drawn: torch.Generator):
        super().__init__()
        self.register_buffer("weight", weight.to(product), persistent=False)
        self.scale, self.rank = scale, rank
        if rank:
            bound = 1 / math.sqrt(weight.shape[1])
            first = torch.empty(rank, weight.shape[1]).uniform_(-bound, bound, generator=drawn)
            self.lora_a = nn.Parameter(first)
            self.lora_b = nn.Parameter(torch.zeros(weight.shape[0], rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.linear(x, self.weight)
        if not self.rank:
            return y
        down = functional.linear(x, self.lora_a.to(x.dtype))
        return y + functional.linear(down, (self.scale * self.lora_b).to(x.dtype))


class Norm(nn.Module):
    def __init__(self, weight: torch.Tensor, epsilon: float):
        super().__init__()
        self.register_buffer("weight", weight, persistent=False)
        self.epsilon = epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(x, self.weight.shape, self.weight, self.epsilon)


class Packed:
    """Where the rows of a packed batch lie: `shared` rows, then of each picture the rows
    [begin, end), and which of the shared and own rows each of its rows sees."""

    def __init__(self, shared: int, positions: list[int]):
        self.shared = shared
        self.positions = list(positions)
        self.spans: list[tuple[int, int]] = []
        self.masks: list[torch.Tensor] = []

    def add(self, positions: list[int], groups: list[int]) -> None:
        """A picture's rows: rows of group 0 are seen by all that follow, others by their own."""
        begin = len(self.positions)
        self.positions += positions
        group = torch.tensor(groups)
        sees = (group[None, :] == 0) | (group[None, :] == group[:, None])
        sees &= torch.ones_like(sees).tril()
        shared = torch.ones(len(groups), self.shared, dtype=torch.bool)
        self.spans.append((begin, len(self.positions)))
        self.masks.append(torch.cat([shared, sees], dim=1))


class TextModel(nn.Module):
    def __init__(self, path, rank: int, alpha: float, product: torch.dtype, seed: int = 0):
        super().__init__()
        drawn = torch.Generator().manual_seed(seed)
        reader = gguf.GGUFReader(path)
        get = lambda key: reader.fields[key].contents()
        if get("general.architecture") != "llama":
            raise SystemExit(f"{path}: a text model of the llama architecture is needed")
        self.tokenizer, self.template = Tokenizer(reader), Template(reader)
        self.name = get("general.name")
        self.blocks_count = get("llama.block_count")
        self.width = get("llama.embedding_length")
        self.heads = get("llama.attention.head_count")
        self.kv_heads = get("llama.attention.head_count_kv")
        self.head_size = self.width // self.heads
        self.base = get("llama.rope.freq_base")
        self.rank, self.alpha, self.product = rank, alpha, product
        epsilon = get("llama.attention.layer_norm_rms_epsilon")
        tensors = {tensor.name: tensor for tensor in reader.tensors}

        def weight(name: str) -> torch.Tensor:
            tensor = tensors[name]
            values = gguf.dequantize(tensor.data, tensor.tensor_type)
            shape = [int(size) for size in reversed(tensor.shape)]
            return torch.from_numpy(np.array(values, dtype=np.float32).reshape(shape))

        self.register_buffer("embeddings", weight("token_embd.weight"), persistent=False)
        self.register_buffer("head", self.embeddings.to(product), persistent=False)
        if "output.weight" in tensors:
            self.head = weight("output.weight").to(product)
        self.output_norm = Norm(weight("output_norm.weight"), epsilon)
        self.blk = nn.ModuleList()
        for at in range(self.blocks_count):
            block = nn.ModuleDict()
            for name in ADAPTED:
                of = weight(f"blk.{at}.{name}.weight")
                scale = alpha / rank if rank else 0.0
                block[name] = Linear(of, rank, scale, product, drawn)
            for name in ("attn_norm", "ffn_norm"):
                block[name] = Norm(weight(f"blk.{at}.{name}.weight"), epsilon)
            self.blk.append(block)

    def rotation(self, positions: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        half = torch.arange(0, self.head_size, 2, dtype=torch.float64) / self.head_size
        angles = torch.tensor(positions, dtype=torch.float64)[:, None] * self.base**-half
        return angles.cos().float()[:, None], angles.sin().float()[:, None]

    def forward(self, rows: torch.Tensor, packed: Packed) -> torch.Tensor:
        """Embeddings of all rows to what the last norm makes of them."""
        cos, sin = self.rotation(packed.positions)
        # One head of keys serves several of queries: these lie one after another, so that each
        # head of keys is one product.
        per = self.heads // self.kv_heads
        masks = [torch.zeros(mask.shape, dtype=self.product).masked_fill(~mask, -math.inf).repeat(per, 1)
                 for mask in [torch.ones(packed.shared, packed.shared, dtype=torch.bool).tril(), *packed.masks]]
        x = rows
        for block in self.blk:
            y = block["attn_norm"](x).to(self.product)
            q = self.turned(block["attn_q"](y), self.heads, cos, sin)
            k = self.turned(block["attn_k"](y), self.kv_heads, cos, sin)
            v = block["attn_v"](y).unflatten(1, (self.kv_heads, -1))
            x = x + block["attn_output"](self.attend(q, k, v, packed, masks)).float()
            y = block["ffn_norm"](x).to(self.product)
            y = functional.silu(block["ffn_gate"](y)) * block["ffn_up"](y)
            x = x + block["ffn_down"](y).float()
        return self.output_norm(x)

    def turned(self, x: torch.Tensor, heads: int, cos, sin) -> torch.Tensor:
        """Rotary positions as GGUF keeps llama's rows: pairs lie side by side."""
        a, b = x.float().unflatten(1, (heads, -1, 2)).unbind(-1)
        return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(2).to(self.product)

    def attend(self, q, k, v, packed: Packed, masks) -> torch.Tensor:
        seen = []
        for at, (begin, end) in enumerate([(0, packed.shared), *packed.spans]):
            keys, values = k[begin:end], v[begin:end]
            if at:
                keys = torch.cat([k[: packed.shared], keys])
                values = torch.cat([v[: packed.shared], values])
            queries = q[begin:end].unflatten(1, (self.kv_heads, -1)).permute(1, 2, 0, 3)
            scores = torch.baddbmm(
                masks[at][None], queries.flatten(1, 2), keys.permute(1, 2, 0), alpha=self.head_size**-0.5
            )
            out = torch.bmm(scores.softmax(-1), values.transpose(0, 1))
            seen.append(out.unflatten(1, (-1, end - begin)).permute(2, 0, 1, 3).flatten(1))
        return torch.cat(seen)

    def logits(self, rows: torch.Tensor) -> torch.Tensor:
        return functional.linear(rows.to(self.product), self.head).float()
