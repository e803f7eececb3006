"""The picture's side of an Idefics3: a SigLIP encoder, pixel shuffle and one linear layer."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

WIDTH, BLOCKS, HEADS, FEED_FORWARD = 192, 4, 6, 768
IMAGE, PATCH, SHUFFLE = 64, 8, 2
SIDE = IMAGE // PATCH
TOKENS = (SIDE // SHUFFLE) ** 2
EPSILON = 1e-6


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1 = nn.LayerNorm(WIDTH, EPSILON)
        self.attn_q = nn.Linear(WIDTH, WIDTH)
        self.attn_k = nn.Linear(WIDTH, WIDTH)
        self.attn_v = nn.Linear(WIDTH, WIDTH)
        self.attn_out = nn.Linear(WIDTH, WIDTH)
        self.ln2 = nn.LayerNorm(WIDTH, EPSILON)
        self.ffn_up = nn.Linear(WIDTH, FEED_FORWARD)
        self.ffn_down = nn.Linear(FEED_FORWARD, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        def heads(y: torch.Tensor) -> torch.Tensor:
            return y.unflatten(2, (HEADS, -1)).transpose(1, 2)

        y = self.ln1(x)
        seen = functional.scaled_dot_product_attention(
            heads(self.attn_q(y)), heads(self.attn_k(y)), heads(self.attn_v(y))
        )
        x = x + self.attn_out(seen.transpose(1, 2).flatten(2))
        y = functional.gelu(self.ffn_up(self.ln2(x)), approximate="tanh")
        return x + self.ffn_down(y)


class Tower(nn.Module):
    """Pixels in -1..1, channels first, to one vector a patch."""

    def __init__(self):
        super().__init__()
        self.patch_embd = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.position_embd = nn.Parameter(waves())
        self.blk = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.post_ln = nn.LayerNorm(WIDTH, EPSILON)
        for name, parameter in self.blk.named_parameters():
            if name.endswith("weight") and parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.03)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.post_ln(self.after_blocks(pixels)[-1])

    def after_blocks(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        x = self.patch_embd(pixels).flatten(2).transpose(1, 2) + self.position_embd
        after = []
        for block in self.blk:
            x = block(x)
            after.append(x)
        return after


def waves() -> torch.Tensor:
    """The position table before training: sines and cosines of row and column, about as large as
    what patches are embedded as. From small random numbers learning takes far longer to begin."""
    quarter = WIDTH // 4
    angles = torch.arange(SIDE)[:, None] * 20.0 ** -(torch.arange(quarter) / quarter)
    of = torch.cat([angles.sin(), angles.cos()], dim=1) * 0.5
    rows = of[:, None].expand(-1, SIDE, -1)
    columns = of[None].expand(SIDE, -1, -1)
    return torch.cat([rows, columns], dim=2).flatten(0, 1).contiguous()


class Connector(nn.Module):
    """Four neighbouring patches to one vector of the text model's width."""

    def __init__(self, text_width: int):
        super().__init__()
        self.fc = nn.Linear(WIDTH * SHUFFLE * SHUFFLE, text_width, bias=False)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return self.fc(pixel_shuffle(patches))


def pixel_shuffle(patches: torch.Tensor) -> torch.Tensor:
    """[picture, row x column, e] to [picture, (row / s) x (column / s), s s e]: channel
    (dh s + dw) E + e of token (r, c) is channel e of patch (s r + dh, s c + dw)."""
    x = patches.unflatten(1, (SIDE // SHUFFLE, SHUFFLE, SIDE // SHUFFLE, SHUFFLE))
    return x.permute(0, 1, 3, 2, 4, 5).flatten(3).flatten(1, 2)


def pixels_in(pictures: np.ndarray) -> torch.Tensor:
    """Bytes, channels last, to what the tower takes."""
    floats = torch.from_numpy(np.ascontiguousarray(pictures)).float() / 127.5 - 1
    return floats.permute(0, 3, 1, 2).contiguous()
