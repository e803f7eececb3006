#!/usr/bin/env python3
"""Makes the reference pieces that the splitter of crates/documents is tested against.

    pip install langchain-text-splitters==1.1.3
    python3 scripts/reference/splitter.py > crates/documents/tests/data/splitter.json

Each case is a text, two lengths, and the pieces that RecursiveCharacterTextSplitter makes of it with
its own defaults (separators blank line, line break, space, nothing; separator kept at the start of
the next piece). The texts are written here, or drawn from a seeded generator.
"""

import json
import random
import sys

from langchain_text_splitters import RecursiveCharacterTextSplitter

SIZES = [(2, 0), (2, 1), (5, 2), (10, 0), (10, 9), (20, 5), (37, 11), (100, 20), (2048, 200)]

PROSE = """The lighthouse at the end of the pier was built in 1871. It has ninety-two steps.

Its keeper, a Mrs. Alder, wrote down every ship that passed; the books fill two shelves.
On calm days she counted forty or more.

    An indented line.
\tA line after a tab, and one with two  spaces  between  words.


Three line breaks came before this. A very-long-word-without-any-space-that-must-be-cut-somewhere ends it.
"""

WRITTEN = {
    "prose": PROSE,
    "prose twice": PROSE * 2,
    "windows line ends": PROSE.replace("\n", "\r\n"),
    "one word": "supercalifragilisticexpialidocious" * 4,
    "letters of many scripts": "Straße déjà Ελλάδα Москва 日本語の文章は空白がない。中文也一样。 עברית العربية ภาษาไทย",
    "emoji": "😀 😃😄😁 fish 🐟🐠🐡 and chips 🍟",
    "line breaks": "\n" * 45,
    "spaces": " " * 45 + "x" + " " * 45,
    "odd line breaks": "a\n\n\nb\n\n\n\nc\n \n d\n\n",
    "wide spaces": "\u00a0\u2003one\u3000two\u2028three\x1f\x85four\u00a0",
    "empty": "",
    "blank": " \n\t \n\n ",
    "markdown": "# Title\n\n- one\n- two\n  - three\n\n```\ncode  here\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    "exact": "12345 12345 12345\n\n1234567890\n\n123456789 1",
}


def drawn(seed):
    """A text of random words and separators, weighted so that every separator decides sometimes."""
    rng = random.Random(seed)
    parts = []
    for _ in range(rng.randint(20, 120)):
        parts.append("".join(rng.choice("abcdé語") for _ in range(rng.choice([1, 2, 3, 5, 8, 30]))))
        parts.append(rng.choice([" ", " ", " ", "  ", "\n", "\n\n", "\n\n\n", "\t", " \n"]))
    return "".join(parts)


def main():
    texts = dict(WRITTEN)
    texts.update({f"drawn {seed}": drawn(seed) for seed in range(12)})
    cases = []
    for name, text in texts.items():
        for size, overlap in SIZES:
            splitter = RecursiveCharacterTextSplitter(chunk_size=size, chunk_overlap=overlap)
            pieces = splitter.split_text(text)
            cases.append({"text": name, "size": size, "overlap": overlap, "pieces": pieces})
    json.dump({"texts": texts, "cases": cases}, sys.stdout, ensure_ascii=False, indent=0)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
