"""Second stage: the adapter and the connector learn to answer. All questions of a picture lie in one
sequence: each sees what the picture's questions share and itself."""

import dataclasses

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from . import data
from .log import Log
from .text import Packed, TextModel
from .tower import TOKENS, pixels_in

# None: the template's own words. The other is a bot's, when its owner wrote none.
SYSTEMS = [
    None,
    "You are Longtrainer, an assistant that answers questions about the user's own documents. "
    "Answer from the passages below. Be brief and exact. If they do not hold the answer, say that "
    "you do not know.",
]
# Share of the sequences that have a passage between the picture and the questions.
PASSAGES = 0.15
PICTURES, WARM_UP = 4, 40
# The learning rates stay as they are until this share of the steps, and then fall to nothing.
SETTLED = 0.6
WATCHED = 40
RATES = {"adapter": 1e-3, "connector": 3e-4, "tower": 5e-5}

FILES = ["notes.txt", "minutes.md", "handbook.pdf", "letter.docx", "report.pdf", "diary.txt"]
WHO = ["The committee", "Our landlord", "The museum", "A neighbour", "The bakery", "The harbour office"]
DID = ["met on Tuesday", "closed for repairs", "ordered new chairs", "answered the letter",
       "moved to another street", "counted the visitors", "painted the fence green",
       "drew a red circle on the map", "kept the blue folder", "found a yellow triangle on the sign"]
WHY = ["It took three weeks.", "Nobody had expected it.", "The costs were shared.",
       "It was not the first time.", "A summary follows next month.", "The rest stays as it was."]


def rate_at(step: int, steps: int) -> float:
    settled = max(1.0, (1 - SETTLED) * steps)
    return min((step + 1) / WARM_UP, 1.0, (steps - step) / settled)


@dataclasses.dataclass
class Asked:
    """Where in the packed rows an answer is predicted, and the tokens that are right there."""

    picture: int
    question: int
    rows: list[int]
    labels: list[int]


class Batch:
    """Pictures with the same system prompt, packed. `pictures[i]` is ([(question, answer)], passage)."""

    def __init__(self, text: TextModel, system: str | None, pictures):
        before, after = text.template.around(system)
        head = text.tokenizer.ids(before)
        self.packed = Packed(len(head), list(range(len(head))))
        # Token of each row; a picture's rows hold none.
        self.ids: list[int] = list(head)
        self.picture_rows: list[int] = []
        self.asked: list[Asked] = []
        for at, (questions, passage) in enumerate(pictures):
            begin = len(self.ids)
            shared = text.tokenizer.ids(passage) if passage else []
            lead = " " if passage else ""
            ids, groups = [0] * TOKENS + shared, [0] * (TOKENS + len(shared))
            first = len(head) + len(ids)
            positions = list(range(len(head), first))
            for number, (question, answer) in enumerate(questions):
                prompt = text.tokenizer.ids(lead + question + after)
                labels = [*text.tokenizer.ids(answer), text.tokenizer.end]
                own = prompt + labels[:-1]
                last = begin + len(ids) + len(prompt) - 1
                self.asked.append(Asked(at, number, list(range(last, last + len(labels))), labels))
                ids += own
                groups += [number + 1] * len(own)
                positions += range(first, first + len(own))
            self.picture_rows += range(begin, begin + TOKENS)
            self.ids += ids
            self.packed.add(positions, groups)

    def outputs(self, text: TextModel, pictures: torch.Tensor) -> torch.Tensor:
        """Logits at the rows where answers are predicted, in the order of `asked`."""
        rows = text.embeddings[torch.tensor(self.ids)]
        rows = rows.index_copy(0, torch.tensor(self.picture_rows), pictures.float().flatten(0, 1))
        rows = text(rows, self.packed)
        return text.logits(rows[torch.tensor([row for asked in self.asked for row in asked.rows])])

    def labels(self) -> torch.Tensor:
        return torch.tensor([label for asked in self.asked for label in asked.labels])


def made_up_passage(rng: np.random.Generator) -> str:
    pick = lambda of: of[rng.integers(len(of))]
    told = " ".join(f"{pick(WHO)} {pick(DID)}. {pick(WHY)}" for _ in range(rng.integers(1, 3)))
    # A question follows after a space, which belongs to its first word's token.
    return f"Passages:\n[1] ({pick(FILES)}) {told}\n\nQuestion:"


def drawn(text, split, rows, rng) -> tuple[Batch, np.ndarray]:
    """A batch of these pictures as training sees them: varied, perhaps with a passage."""
    system = SYSTEMS[rng.integers(len(SYSTEMS))]
    pictures = []
    for row in rows:
        passage = made_up_passage(rng) if rng.random() < PASSAGES else None
        pictures.append((split.questions[row], passage))
    return Batch(text, system, pictures), np.stack([data.vary(split.pixels[row], rng) for row in rows])


@torch.no_grad()
def leads(seen, text, split, rows, system=None, passages: int | None = None) -> dict:
    """By (picture's row, number of its question): by how much the label's tokens lead over every
    other, with the label given so far, at the token where that is least. A greedy answer is exactly the label if and only if this is above nothing."""
    of = {}
    for part in np.array_split(rows, max(1, len(rows) // 4)):
        pictures = []
        for row in part:
            rng = np.random.default_rng([passages or 0, 4, row])
            passage = None if passages is None else made_up_passage(rng)
            pictures.append((split.questions[row], passage))
        batch = Batch(text, system, pictures)
        logits = batch.outputs(text, seen(pixels_in(split.pixels[part])))
        labels = batch.labels()[:, None]
        own = logits.gather(1, labels)
        lead = (own - logits.scatter(1, labels, -float("inf")).amax(1, keepdim=True)).flatten().tolist()
        for one in batch.asked:
            least = min(lead[: len(one.labels)])
            del lead[: len(one.labels)]
            of[part[one.picture], one.question] = least
    return of


def share(leads: dict) -> float:
    return sum(lead > 0 for lead in leads.values()) / len(leads)


def train(tower, connector, text, split, rows, held_out, steps, seed, log: Log, resume, keep) -> None:
    adapter = [parameter for parameter in text.parameters()]
    groups = [("adapter", adapter), ("connector", [*connector.parameters()]), ("tower", [*tower.parameters()])]
    optimizer = torch.optim.AdamW(
        [{"params": parameters, "name": name} for name, parameters in groups],
        weight_decay=0.0, betas=(0.9, 0.98),
    )
    trained = nn.ModuleDict({"tower": tower, "connector": connector, "text": text})
    first = 0
    if resume is not None:
        trained.load_state_dict(resume["model"])
        optimizer.load_state_dict(resume["optimizer"])
        first = resume["step"]

    def seen(pixels: torch.Tensor) -> torch.Tensor:
        return connector(tower(pixels))

    lost, hit, tokens, count = 0.0, 0, 0, 0
    an_epoch = len(rows) // PICTURES
    for step in range(first, steps):
        rng = np.random.default_rng([seed, 2, step])
        order = np.random.default_rng([seed, 3, step // an_epoch]).permutation(rows)
        part = order[step % an_epoch * PICTURES :][:PICTURES]
        batch, pictures = drawn(text, split, part, rng)
        for group in optimizer.param_groups:
            group["lr"] = RATES[group["name"]] * rate_at(step, steps)
        logits = batch.outputs(text, seen(pixels_in(pictures)))
        labels = batch.labels()
        loss = functional.cross_entropy(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for _, parameters in groups:
            nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        # The first token of each answer says nearly all; the last is the end of the turn.
        ends = np.cumsum([len(asked.labels) for asked in batch.asked])
        starts = torch.from_numpy(ends - [len(asked.labels) for asked in batch.asked])
        lost += loss.item()
        hit += int((logits[starts].argmax(1) == labels[starts]).sum())
        tokens, count = tokens + len(batch.ids), count + len(batch.asked)
        if (step + 1) % 20 == 0:
            entry = {"stage": "answer", "step": step + 1, "loss": lost / 20, "first_token": hit / count}
            log.write(**entry, tokens=tokens, questions=count)
            lost, hit, tokens, count = 0.0, 0, 0, 0
        if (step + 1) % 100 == 0 or step + 1 == steps:
            held = leads(seen, text, split, held_out[:WATCHED])
            log.write(stage="answer", step=step + 1, held_out=share(held))
        if (step + 1) % 20 == 0 or step + 1 == steps:
            state = {"model": trained.state_dict(), "optimizer": optimizer.state_dict()}
            keep({**state, "step": step + 1})
