"""Writes the tokens that llama.cpp makes of the hard corpus.

    pip install llama-cpp-python gguf
    python scripts/reference/tokens.py MODEL.gguf crates/inference/tests/data

`tokens.json`: each entry has the text and its tokens, without a beginning-of-text token: with the
texts of control tokens read as tokens (`read`) and as plain text (`plain`), and as plain text when
the same vocabulary is cut by the rules of other models (`llama-bpe`, `qwen2`, `gpt-2`).

`spm.json`: a SentencePiece vocabulary made from the corpus, and its tokens of every text.
"""

import collections
import json
import math
import pathlib
import sys
import tempfile

from gguf import GGUFReader, GGUFWriter
from llama_cpp import Llama

import corpus

OTHER_RULES = ["llama-bpe", "qwen2", "gpt-2"]
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6


def tokens_of(llama: Llama, text: str, special: bool) -> list[int]:
    return llama.tokenize(text.encode("utf-8"), add_bos=False, special=special)


def load(path: str) -> Llama:
    return Llama(path, vocab_only=True, verbose=False)


def vocabulary_file(path: str, kind: str, pre: str, tokens, kinds, merges, scores) -> None:
    writer = GGUFWriter(path, "llama")
    writer.add_tokenizer_model(kind)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    if merges:
        writer.add_token_merges(merges)
    if scores:
        writer.add_token_scores(scores)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def byte_level(model: str, folder: str) -> list[dict]:
    reader = GGUFReader(model)
    field = lambda key: reader.fields[f"tokenizer.ggml.{key}"].contents()
    llamas = {}
    for rules in OTHER_RULES:
        path = f"{folder}/{rules}.gguf"
        vocabulary_file(path, "gpt2", rules, field("tokens"), field("token_type"), field("merges"), None)
        llamas[rules] = load(path)
    own = load(model)
    return [
        {
            "text": text,
            "read": tokens_of(own, text, True),
            "plain": tokens_of(own, text, False),
            **{rules: tokens_of(llama, text, False) for rules, llama in llamas.items()},
        }
        for text in corpus.ALL
    ]


def sentencepiece_vocabulary() -> list[tuple[str, int, float]]:
    """Control tokens, 256 bytes, the commonest characters, and the commonest strings of 2 to 7."""
    text = "\n".join(corpus.PLAIN + corpus.CONTRACTIONS + corpus.CODE + corpus.LANGUAGES)
    text = text.replace(" ", "\u2581")
    entries = [("<unk>", UNKNOWN, 0.0), ("<s>", CONTROL, 0.0), ("</s>", CONTROL, 0.0)]
    entries += [(f"<0x{byte:02X}>", BYTE, 0.0) for byte in range(256)]
    characters = collections.Counter(text.replace("\n", ""))
    strings = collections.Counter(
        text[start : start + length] for length in range(2, 8) for start in range(len(text))
    )
    pieces = [piece for piece, _ in characters.most_common(150)]
    pieces += [piece for piece, _ in strings.most_common(600) if len(piece) > 1 and "\n" not in piece]
    counts = characters + strings
    entries += [(piece, NORMAL, round(math.log(counts[piece]) - 20, 4)) for piece in pieces]
    entries.append(("<mark>", USER_DEFINED, 0.0))
    return entries


def sentencepiece(folder: str) -> dict:
    tokens, kinds, scores = map(list, zip(*sentencepiece_vocabulary()))
    path = f"{folder}/spm.gguf"
    vocabulary_file(path, "llama", "default", tokens, kinds, None, scores)
    llama = load(path)
    texts = corpus.ALL + ["<s>a</s> b<mark>c <mark> d", "<s>", " <s> x", "<mark>"]
    entries = [
        {"text": text, "read": tokens_of(llama, text, True), "plain": tokens_of(llama, text, False)}
        for text in texts
    ]
    return {"tokens": tokens, "kinds": kinds, "scores": scores, "entries": entries}


def write(path: pathlib.Path, content) -> None:
    path.write_text(json.dumps(content, ensure_ascii=True, separators=(",", ":")) + "\n")


def main() -> None:
    model, data = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        write(data / "tokens.json", byte_level(model, folder))
        write(data / "spm.json", sentencepiece(folder))


if __name__ == "__main__":
    main()
