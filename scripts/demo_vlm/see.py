"""First stage: the tower learns to name the shape and its colour, and the connector to say both in
the text model's own words: of every four of its vectors, two are the embedding of the colour's name
(of its pieces, for a name that is not one token) and two that of the shape's.

Two more heads make it learn sooner, since naming alone says little about edges: from the patches
half-way up, which pixels the shape covers; from the last ones, where it lies and how much it covers.
No head outlives this stage."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from . import data
from .log import Log
from .tower import BLOCKS, PATCH, SIDE, TOKENS, WIDTH, Connector, Tower, pixels_in

BATCH, RATE, WARM_UP, DECAY = 32, 1e-3, 100, 0.05
# Of the losses for shape, colour, words, covered pixels and place.
WEIGHTS = [1.0, 1.0, 0.5, 2.0, 2.0]


def rate_at(step: int, steps: int, warm_up: int) -> float:
    """Share of the highest learning rate: a linear warm-up, then half a cosine to nothing."""
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def words_of(tokenizer, embeddings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[name, 2, width] for the colours and for the shapes: first and last piece of each name."""

    def pieces(names: list[str]) -> torch.Tensor:
        ids = [tokenizer.ids(" " + name) for name in names]
        return torch.stack([embeddings[[of[0], of[-1]]] for of in ids])

    return pieces(data.COLOURS), pieces(data.SHAPES)


class Naming(nn.Module):
    """Tower and connector with the heads that only this stage has."""

    def __init__(self, tower: Tower, connector: Connector):
        super().__init__()
        self.tower, self.connector = tower, connector
        self.shape = nn.Linear(WIDTH, len(data.SHAPES))
        self.colour = nn.Linear(WIDTH, len(data.COLOURS))
        self.covered = nn.Linear(WIDTH, PATCH * PATCH)
        self.place = nn.Linear(WIDTH, 5)

    def forward(self, pixels):
        after = self.tower.after_blocks(pixels)
        patches = self.tower.post_ln(after[-1])
        mean = patches.mean(dim=1)
        covered = self.covered(after[BLOCKS // 2 - 1])
        return self.shape(mean), self.colour(mean), self.connector(patches), covered, self.place(mean)


def geometry(pictures: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Covered pixels by patch, and for each picture the shape's middle, its sides and the share of
    the rectangle around it that it fills: 1, pi / 4 or 1 / 2."""
    covered = np.stack([data.covered_by_shape(picture) for picture in pictures])
    places = []
    for picture in covered:
        rows, columns = (np.flatnonzero(picture.any(axis=axis)) for axis in (1, 0))
        ends = np.array([[of[0], of[-1] + 1] for of in (rows, columns)]) / data.SIZE
        sides = ends[:, 1] - ends[:, 0]
        filled = picture.mean() / sides.prod()
        places.append([*ends.mean(axis=1), *sides, filled])
    of_patches = covered.reshape(-1, SIDE, PATCH, SIDE, PATCH).swapaxes(2, 3)
    return (
        torch.from_numpy(of_patches.reshape(len(covered), SIDE * SIDE, PATCH * PATCH)).float(),
        torch.tensor(np.array(places), dtype=torch.float32),
    )


def wanted_words(shapes, colours, words) -> torch.Tensor:
    """What the connector should say of pictures whose shape and colour are known."""
    of_colours, of_shapes = words
    four = torch.cat([of_colours[colours], of_shapes[shapes]], dim=1)
    return four.repeat(1, TOKENS // 4, 1)


@torch.no_grad()
def check(model: Naming, split: data.Split, rows: np.ndarray, words) -> dict:
    """Shares of known shapes and colours that the heads name, and how far the words are off."""
    rows = rows[(split.shapes[rows] >= 0) & (split.colours[rows] >= 0)]
    right_shape = right_colour = 0
    off = 0.0
    for part in np.array_split(rows, max(1, len(rows) // 100)):
        shapes, colours = (torch.from_numpy(of[part]) for of in (split.shapes, split.colours))
        shape, colour, said = model(pixels_in(split.pixels[part]))[:3]
        right_shape += int((shape.argmax(1) == shapes).sum())
        right_colour += int((colour.argmax(1) == colours).sum())
        off += words_off(said, wanted_words(shapes, colours, words)).item() * len(part)
    return {
        "shape": right_shape / len(rows),
        "colour": right_colour / len(rows),
        "words_off": off / len(rows),
    }


def words_off(said: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Squared distance in units of the words' own mean square."""
    return (said.float() - wanted).pow(2).mean() / wanted.pow(2).mean()


def train(model, words, split, rows, held_out, steps, seed, log: Log, resume, keep) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY, betas=(0.9, 0.98))
    first = 0
    if resume is not None:
        model.load_state_dict(resume["model"])
        optimizer.load_state_dict(resume["optimizer"])
        first = resume["step"]
    summed, counted = np.zeros(len(WEIGHTS)), 0
    for step in range(first, steps):
        # Each step draws from its own numbers, so that a resumed run goes on as it would have.
        rng = np.random.default_rng([seed, 1, step])
        part = rng.choice(rows, BATCH, replace=False)
        shapes, colours = (torch.from_numpy(of[part]) for of in (split.shapes, split.colours))
        pictures = np.stack([data.vary(split.pixels[row], rng) for row in part])
        covered, places = geometry(pictures)
        for group in optimizer.param_groups:
            group["lr"] = RATE * rate_at(step, steps, WARM_UP)
        with torch.autocast("cpu", torch.bfloat16):
            shape, colour, said, mask, place = model(pixels_in(pictures))
        known = (shapes >= 0) & (colours >= 0)
        losses = [
            functional.cross_entropy(shape.float(), shapes, ignore_index=data.UNKNOWN),
            functional.cross_entropy(colour.float(), colours, ignore_index=data.UNKNOWN),
            words_off(said[known], wanted_words(shapes[known], colours[known], words)),
            functional.binary_cross_entropy_with_logits(mask.float(), covered),
            (place.float() - places).abs().mean(),
        ]
        loss = sum(weight * each for weight, each in zip(WEIGHTS, losses))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        summed += [each.item() for each in losses]
        counted += 1
        if (step + 1) % 100 == 0:
            mean = summed / counted
            summed, counted = np.zeros(len(WEIGHTS)), 0
            names = ["shape_loss", "colour_loss", "words_off", "covered_loss", "place_off"]
            log.write(stage="tower", step=step + 1, **dict(zip(names, mean.tolist())))
        if (step + 1) % 400 == 0 or step + 1 == steps:
            log.write(stage="tower", step=step + 1, held_out=check(model, split, held_out, words))
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            keep({**state, "step": step + 1})
