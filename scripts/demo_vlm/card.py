"""The model card, with what was measured in its table."""

import pathlib
import textwrap

from . import export, tower

EXAMPLES = {
    "what-shape": "what is the blue shape?",
    "what-colour": "what color is the triangle?",
    "shape": "is there a circle?",
    "shape-negated": "is no circle present?",
    "colour": "does the image contain a red shape?",
    "colour-negated": "is there not a red shape in the image?",
}

CARD = """# The demo vision model

A picture encoder and an adapter, {size:.1f} MB together, with which SmolLM2-135M-Instruct answers questions
about very simple pictures. It is there so that vision chats run, and can be tested, on a machine
without a network; for pictures of the world use a larger model.

| file | what it is | bytes |
|---|---|---|
| `{tower_file}` | tower and connector, in llama.cpp's GGUF form of an Idefics3 encoder | {tower_bytes:,} |
| `{adapter_file}` | LoRA adapter of rank {rank} for all linear layers, in llama.cpp's GGUF form | {adapter_bytes:,} |

It needs `SmolLM2-135M-Instruct.Q4_1.gguf`, the default text model (Apache-2.0), which stays as it is.

## What it can see

Pictures of 64 x 64 pixels that show **one** circle, rectangle or triangle in **one** of eight colours
(black, blue, brown, gray, green, red, teal, yellow) on a plain light background. Of those it tells the
shape and the colour, in answers of one word, in lower case: a shape, a colour, `yes` or `no`.

## What it cannot see

Anything else: photographs, text, several shapes, other shapes or colours, where something is, how
large it is. Whatever it is shown or asked, it answers with a word that it was taught, and never that
it does not know.
{strange}
Small circles and rectangles, of ten to fifteen pixels, it takes for each other at times. Larger
pictures are shrunk to 64 x 64 first. Asked to describe a picture it names the shape. It was made for
this data set alone and is a demonstration, not a model to rely on.

It was taught single questions. In a chat about one picture, four questions each about 120 test
pictures, it answered the first to the fourth right in 99, 100, 96 and 90 % of them; asked the same
thing twice it may contradict itself, and with a second picture in the chat it often speaks of the
first.

## Measured

With the 16-bit values of the files, the text model's weights dequantised and products in f32, the
template's own system prompt, greedy, answers right only if they are exactly the label; {questions:,}
questions of the test split:

| kind | example | questions | right | accuracy |
|---|---|---|---|---|
{table}

How kinds are told apart: write the question in lower case without its question mark and split it at
spaces. If the first word is `what`, the kind is `what-colour` if one of the words is `color`, and
`what-shape` otherwise. All others are answered by yes or no: the kind is `shape` if one of the words
is `circle`, `rectangle` or `triangle`, and `colour` otherwise, with `-negated` added if one of the
words is `not` or `no`.

{bot}

## How it is asked

The text model's chat template with one user message: the picture's {tokens} vectors come first and the
question follows at once, with nothing between; the texts before and after the picture are tokenised
separately. Pixels are x / 127.5 - 1. Tower and connector have {tower_parameters:,} parameters: {blocks} blocks
of width {width} with {heads} heads, patches of {patch} x {patch}, pixel shuffle by {shuffle}, one linear layer without bias.

## How it was made

`scripts/train-demo-vlm` made all files here, from easy-VQA's training split alone (the Python package
`easy-vqa==1.0`; 4,000 pictures, 38,575 questions), of which the last {held_out} pictures were left out to watch
the learning with. First tower and connector learn to name shape and colour, and to say both in the
text model's own word embeddings, from pictures mirrored, turned and moved, never recoloured. Then the
adapter learns to answer, connector and tower going along at lower rates, all questions of a picture in
one sequence under a mask; half of the sequences have the system prompt of a bot, some a passage of
made-up sentences before the question. [`training-log.jsonl`](training-log.jsonl) is the run's log.
{note}
`expected.json` holds what the first 200 test questions are answered, with the five likeliest first
tokens and their logits; `tower-expected.json` some values of the tower's and the connector's outputs
for two pictures: the first eight of tokens 0, 7 and 15, and every token's norm.

## Licence

The weights are under MIT or Apache-2.0, as Longtrainer. easy-VQA by Victor Zhou is under MIT;
SmolLM2 by Hugging Face, whose weights are not in these files, is under Apache-2.0.
"""


def write(folder: pathlib.Path, measured: dict, held_out: int, rank: int, parameters: int, note: str) -> None:
    rows = []
    test = measured["test"]
    for kind in [*EXAMPLES, "all"]:
        if kind not in test:
            continue
        of = test[kind]
        named = "**all**" if kind == "all" else f"`{kind}`"
        share = f"{100 * of['accuracy']:.2f} %"
        rows.append(f"| {named} | {EXAMPLES.get(kind, '')} | {of['questions']:,} | {of['right']:,} | {share} |")
    strange = ", ".join(
        f"{name} (`{shape}`, `{colour}`)"
        for name, (shape, colour) in zip(("an empty picture", "noise", "a purple square"), measured["strange"].values())
    )
    bot, passage = (measured[name]["all"] for name in ("bot", "bot_passage"))
    sizes = [(folder / file).stat().st_size for file in (export.TOWER_FILE, export.ADAPTER_FILE)]
    text = CARD.format(
        size=sum(sizes) / 1e6, tower_bytes=sizes[0], adapter_bytes=sizes[1], rank=rank,
        tower_file=export.TOWER_FILE, adapter_file=export.ADAPTER_FILE,
        questions=test["all"]["questions"],
        table="\n".join(rows),
        strange=textwrap.fill(f"It named shape and colour of {strange}.", 100),
        bot=textwrap.fill(
            f"With the system prompt that a bot has by default, {100 * bot['accuracy']:.2f} % of the "
            f"{bot['questions']:,} questions of the first test pictures are answered right, and "
            f"{100 * passage['accuracy']:.2f} % when a passage that has nothing to do with them stands "
            "between picture and question.", 100),
        tokens=tower.TOKENS, tower_parameters=parameters, blocks=tower.BLOCKS, width=tower.WIDTH,
        heads=tower.HEADS, patch=tower.PATCH, shuffle=tower.SHUFFLE, held_out=held_out,
        note=textwrap.fill(note, 100) + "\n" if note else "",
        package="the Python package `easy-vqa==1.0`",
    )
    (folder / "README.md").write_text(text)
