"""Writes the tokens that llama.cpp makes of the hard corpus.

    pip install llama-cpp-python
    python scripts/reference/tokens.py MODEL.gguf > crates/inference/tests/data/tokens.json

Each entry has the text, its tokens with the texts of control tokens read as tokens (`read`) and
as plain text (`plain`), both without a beginning-of-text token.
"""

import json
import sys

from llama_cpp import Llama

import corpus


def main() -> None:
    llama = Llama(sys.argv[1], vocab_only=True, verbose=False)

    def tokens(text: str, special: bool) -> list[int]:
        return llama.tokenize(text.encode("utf-8"), add_bos=False, special=special)

    entries = [
        {"text": text, "read": tokens(text, True), "plain": tokens(text, False)}
        for text in corpus.ALL
    ]
    json.dump(entries, sys.stdout, ensure_ascii=True, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
