"""Writes the vectors that sentence-transformers makes of the hard corpus, in f32 on the CPU.

    pip install torch sentence-transformers
    python scripts/reference/embeddings.py MODEL_FOLDER > crates/inference/tests/data/embeddings.json

Components are multiplied by 32767 and rounded, which costs a cosine of 1e-8.
"""

import json
import sys

from sentence_transformers import SentenceTransformer

import corpus

LONG = [
    "The history of the lighthouse begins with a fire on a hill. " * 40,
    " ".join(f"word{number}" for number in range(400)),
    "漢字" * 400,
    "😀 " * 400,
    "x" * 5000,
    "def f(x):\n    return x\n" * 100,
]


def main() -> None:
    every_third = corpus.ALL[::3]
    texts = list(dict.fromkeys(["", " ", "\n\t"] + every_third + LONG))
    model = SentenceTransformer(sys.argv[1], device="cpu")
    vectors = model.encode(texts, batch_size=1, normalize_embeddings=True)
    entries = [
        {
            "text": text,
            "vector": [round(float(component) * 32767) for component in vector],
        }
        for text, vector in zip(texts, vectors)
    ]
    json.dump(entries, sys.stdout, ensure_ascii=True, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
