"""Writes the tokens that llama.cpp makes of the hard corpus.

    pip install llama-cpp-python gguf
    python scripts/reference/tokens.py MODEL.gguf crates/inference/tests/data

`tokens.json`: each entry has the text and its tokens, without a beginning-of-text token: with the
texts of control tokens read as tokens (`read`) and as plain text (`plain`), and as plain text when
the same vocabulary is cut by the rules of other models (`llama-bpe`, `qwen2`, `gpt-2`).

`spm.json`: a SentencePiece vocabulary made from the corpus, and its tokens of every text.

`spm_kinds.json`: the same vocabulary with a few more tokens, used as Gemma's and as Phi-3's are.
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

OTHER_RULES = ["llama-bpe", "qwen2", "gpt-2", "gpt-4o"]
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6


def tokens_of(llama: Llama, text: str, special: bool) -> list[int]:
    return llama.tokenize(text.encode("utf-8"), add_bos=False, special=special)


def load(path: str) -> Llama:
    return Llama(path, vocab_only=True, verbose=False)


def vocabulary_file(
    path: str, kind: str, pre: str, tokens, kinds, merges, scores, name=None, space_first=None
) -> None:
    writer = GGUFWriter(path, "llama")
    if name:
        writer.add_name(name)
    if space_first is not None:
        writer.add_add_space_prefix(space_first)
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


GEMMA = [
    ("<start_of_turn>", CONTROL),
    # Some files call it text; llama.cpp knows better.
    ("<end_of_turn>", USER_DEFINED),
    ("\n\n", USER_DEFINED),
    ("\n\n\n", USER_DEFINED),
    ("  ", USER_DEFINED),
    ("<b>", USER_DEFINED),
]
PHI3 = [(f"<|{name}|>", CONTROL) for name in ("endoftext", "assistant", "system", "end", "user")]

KIND_TEXTS = {
    "gemma": [
        "<start_of_turn>user\nWhat is  this?<end_of_turn>\n<start_of_turn>model\n",
        "<start_of_turn>user\n  a\n\nb\n\n\nc\n\n\n\nd<end_of_turn>\n",
        "<b>bold</b> <s> </s>    x",
    ],
    "phi3": [
        "<s><|user|>\n  What is this?<|end|>\n<|assistant|>\n",
        "<|system|>\nBe\tkind.\n<|end|>\n<|user|>\n\n\x0b\x0c\r x<|end|> \n <|assistant|>\n \n",
        "<s> a</s>\n b<|endoftext|> c<|end|>\u00a0d<|end|>\u2003e<mark> f<unk> g",
    ],
}


def sentencepiece_kinds(folder: str) -> dict:
    made = {}
    for name, more, space_first in [("gemma", GEMMA, False), ("phi3", PHI3, True)]:
        tokens, kinds, scores = map(list, zip(*sentencepiece_vocabulary()))
        tokens += [text for text, _ in more]
        kinds += [kind for _, kind in more]
        scores += [-1000.0] * len(more)
        path = f"{folder}/{name}.gguf"
        # llama.cpp knows Phi-3's tokenizer by the name of the model.
        shown = "Phi-3" if name == "phi3" else name
        vocabulary_file(path, "llama", "default", tokens, kinds, None, scores, shown, space_first)
        llama = load(path)
        texts = KIND_TEXTS[name] + corpus.PLAIN + corpus.CODE
        made[name] = {
            "more": more,
            "entries": [
                {"text": text, "read": tokens_of(llama, text, True), "plain": tokens_of(llama, text, False)}
                for text in texts
            ],
        }
    return made


def write(path: pathlib.Path, content) -> None:
    path.write_text(json.dumps(content, ensure_ascii=True, separators=(",", ":")) + "\n")


def main() -> None:
    model, data = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        write(data / "tokens.json", byte_level(model, folder))
        write(data / "spm.json", sentencepiece(folder))
        write(data / "spm_kinds.json", sentencepiece_kinds(folder))


if __name__ == "__main__":
    main()
