"""What the written files answer and hold, for the model card and for the tests of other programs."""

import json
import pathlib

import numpy as np
import torch

from . import data
from .answer import Batch, leads
from .text import TextModel
from .tower import pixels_in

EXPECTED_QUESTIONS, LONGEST, LIKELIEST = 200, 6, 5
SHOWN_PICTURES, SHOWN_TOKENS, SHOWN_VALUES = 2, [0, 7, 15], 8


def accuracy(of: dict, split: data.Split) -> dict:
    """{kind: {"questions", "right", "accuracy"}}, and the same of all."""
    counts: dict[str, list[int]] = {}
    for (row, number), lead in of.items():
        for kind in ("all", data.kind_of(split.questions[row][number][0])):
            count = counts.setdefault(kind, [0, 0])
            count[0] += 1
            count[1] += lead > 0
    return {
        kind: {"questions": asked, "right": hit, "accuracy": round(hit / asked, 5)}
        for kind, (asked, hit) in sorted(counts.items())
    }


@torch.no_grad()
def greedy(text: TextModel, said: torch.Tensor, question: str) -> tuple[str, torch.Tensor]:
    """The answer to one question, token by token, and the logits of its first token."""
    answer: list[int] = []
    first = None
    while len(answer) < LONGEST:
        # The batch is built around the answer so far; the row after it predicts the next token.
        batch = Batch(text, None, [([(question, text.tokenizer.text(answer))], None)])
        if batch.asked[0].labels[:-1] != answer:
            raise SystemExit(f"the tokens {answer} are not those of the text that they spell")
        logits = batch.outputs(text, said[None])[-1]
        first = logits if first is None else first
        chosen = int(logits.argmax())
        if chosen == text.tokenizer.end:
            break
        answer.append(chosen)
    return text.tokenizer.text(answer), first


def strange(seen, text: TextModel) -> dict[str, list[str]]:
    """What is answered about pictures that show nothing of what was taught."""
    plain = np.full((data.SIZE, data.SIZE, 3), 240, dtype=np.uint8)
    purple = plain.copy()
    purple[20:40, 20:40] = (128, 0, 128)
    noise = np.random.default_rng(0).integers(0, 256, plain.shape, dtype=np.uint8)
    asked = ["what shape is in the image?", "what color is the shape?"]
    with torch.no_grad():
        said = seen(pixels_in(np.stack([plain, noise, purple])))
    names = ["plain", "noise", "purple"]
    return {name: [greedy(text, of, question)[0] for question in asked] for name, of in zip(names, said)}


def write_expected(folder: pathlib.Path, seen, text: TextModel, split: data.Split) -> None:
    row = {picture: at for at, picture in enumerate(split.ids)}
    first = split.listed[:EXPECTED_QUESTIONS]
    answers: dict[int, tuple[str, torch.Tensor]] = {}
    for picture in dict.fromkeys(picture for _, _, picture in first):
        at = row[picture]
        with torch.no_grad():
            said = seen(pixels_in(split.pixels[[at]]))
            batch = Batch(text, None, [(split.questions[at], None)])
            logits = batch.outputs(text, said)
        begin = 0
        for one in batch.asked:
            of = logits[begin : begin + len(one.labels)]
            begin += len(one.labels)
            question, answer = split.questions[at][one.question]
            if of.argmax(1).tolist() != one.labels:
                answer, _ = greedy(text, said[0], question)
            answers[split.listed_at[at][one.question]] = answer, of[0]
    entries = []
    for at, (question, label, picture) in enumerate(first):
        answer, logits = answers[at]
        top = logits.topk(LIKELIEST)
        likeliest = [[int(i), round(float(v), 4)] for i, v in zip(top.indices, top.values)]
        entry = {"image": picture, "question": question, "label": label, "answer": answer}
        entries.append(json.dumps({**entry, "first_token": likeliest}))
    lines = ",\n".join(entries)
    (folder / "expected.json").write_text(f"[\n{lines}\n]\n")


def write_tower_expected(folder: pathlib.Path, tower, connector, split: data.Split) -> None:
    def of(rows: torch.Tensor) -> dict:
        values = {str(at): [round(float(v), 5) for v in rows[at, :SHOWN_VALUES]] for at in SHOWN_TOKENS}
        return {"values": values, "norms": [round(float(v), 4) for v in rows.norm(dim=1)]}

    with torch.no_grad():
        patches = tower(pixels_in(split.pixels[:SHOWN_PICTURES]))
        said = connector(patches)
    pictures = [
        {"image": split.ids[at], "post_layernorm": of(patches[at]), "connector": of(said[at])}
        for at in range(SHOWN_PICTURES)
    ]
    lines = ",\n".join(json.dumps(picture) for picture in pictures)
    (folder / "tower-expected.json").write_text(f"[\n{lines}\n]\n")


def measure(seen, text: TextModel, split: data.Split, pictures: int | None, *asking) -> dict:
    """Accuracy over the questions of the first `pictures`, or of all."""
    return accuracy(leads(seen, text, split, np.arange(len(split))[:pictures], *asking), split)
