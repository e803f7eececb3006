"""Makes the two data sets of the vector-search comparison and keeps them as plain files.

    pip install numpy sentence-transformers
    python benches/peers/vector_data.py wordnet --data DATA --model MODEL_FOLDER
    python benches/peers/vector_data.py synthetic --data DATA

Each set is a folder of DATA with `vectors.f32` and `queries.f32` (rows of little-endian f32, each of
length 1, no header), `exact.f64` (for each query the score of its 10th nearest vector) and
`about.json` (dimension, counts, how it was made). A set that is there is left as it is.

`wordnet`: every definition and every example sentence of WordNet 3.0, each once, embedded with a
sentence-transformers model; 1,000 of them, drawn with a fixed seed, are the queries. The data files
come from Debian's package `wordnet-base`, or from a folder named with --wordnet.

`synthetic`: a million vectors of 384 components drawn around 10,000 centres, queries from the same
mixture.
"""

import argparse
import json
import multiprocessing
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy

QUERIES = 1000
NEIGHBOURS = 10
SEED = 20240229

SYNTHETIC_VECTORS = 1_000_000
DIMENSION = 384
CENTRES = 10_000
# Clusters lie near a common subspace of this many dimensions, so that they have neighbours: random
# directions of the whole space would all be at right angles, and finding the cluster would be the
# whole search.
CENTRE_DIMENSIONS = 48
# The spread within a cluster is in as many dimensions, which differ between clusters.
NOISE_DIMENSIONS = 32
SUBSPACES = 256
# Length of the noise beside the centre's length of 1, and of the part in all dimensions alike.
NOISE_LENGTH = 0.8
ROUND_NOISE_LENGTH = 0.15
# The n-th largest cluster's share falls as n to this power.
POWER = -0.75

BLOCK = 65_536
TEXTS_AT_A_TIME = 2048


class MissingData(Exception):
    """What a data set is made of is not here."""


class DataSet:
    """A folder of vectors, queries and exact scores, read as it is needed."""

    def __init__(self, folder: pathlib.Path):
        about = folder / "about.json"
        if not about.exists():
            raise MissingData(f"{folder} has no data set; vector_data.py makes it")
        self.folder, self.name = folder, folder.name
        self.about = json.loads(about.read_text())
        self.dimension = self.about["dimension"]
        self.vectors_file, self.queries_file = folder / "vectors.f32", folder / "queries.f32"
        self.vectors = numpy.memmap(self.vectors_file, "<f4", "r").reshape(-1, self.dimension)
        self.queries = numpy.fromfile(self.queries_file, "<f4").reshape(-1, self.dimension)
        self.tenth_score = numpy.fromfile(folder / "exact.f64", "<f8")
        if len(self.vectors) != self.about["vectors"] or len(self.queries) != len(self.tenth_score):
            raise MissingData(f"{folder}: the files do not fit each other; delete the folder and make it again")


# --- WordNet ---------------------------------------------------------------------------------


def wordnet_texts(folder: pathlib.Path) -> list:
    """Every definition and every example sentence, each once, in the files' order."""
    texts = {}
    for part in ("noun", "verb", "adj", "adv"):
        [file] = list(folder.rglob(f"data.{part}")) or [None]
        if file is None:
            raise MissingData(f"{folder} has no data.{part}")
        for line in file.read_text(encoding="latin-1").splitlines():
            # The licence stands first, indented.
            if line.startswith("  ") or "|" not in line:
                continue
            gloss = line.split("|", 1)[1]
            examples = re.findall(r'"([^"]*)"', gloss)
            definition = gloss.split('"', 1)[0].strip().rstrip(";:").strip()
            texts.update((text.strip(), None) for text in [definition, *examples])
    return [text for text in texts if text]


def fetch_wordnet(into: pathlib.Path) -> None:
    """Downloads Debian's package and unpacks it, which needs no rights beyond the folder's."""
    try:
        subprocess.run(["apt-get", "download", "wordnet-base"], cwd=into, check=True, capture_output=True)
        [package] = into.glob("wordnet-base_*.deb")
        subprocess.run(["dpkg", "-x", package, into], check=True, capture_output=True)
    except (OSError, ValueError, subprocess.CalledProcessError) as problem:
        raise MissingData(f"wordnet-base could not be fetched ({problem}); name WordNet's folder with --wordnet")


class Encoder:
    """The model in a process of the pool, on one thread: whole texts divide better than matrices."""

    model = None

    @classmethod
    def load(cls, folder: str) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(1)
        cls.model = SentenceTransformer(folder, device="cpu")

    @classmethod
    def encode(cls, texts: list) -> numpy.ndarray:
        import torch

        # Four times as fast as f32 where the processor has bf16, and as good to search in: the cosine
        # to f32's vectors is above 0.9999.
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return cls.model.encode(texts, batch_size=64, convert_to_tensor=True).float().numpy()


def embed(texts: list, model: str, threads: int) -> numpy.ndarray:
    parts = [texts[start : start + TEXTS_AT_A_TIME] for start in range(0, len(texts), TEXTS_AT_A_TIME)]
    rows = []
    with multiprocessing.get_context("spawn").Pool(threads, Encoder.load, [model]) as pool:
        for part in pool.imap(Encoder.encode, parts):
            rows.append(part)
            print(f"{len(rows)} of {len(parts)} parts embedded", file=sys.stderr)
    return numpy.vstack(rows)


def make_wordnet(folder: pathlib.Path, options) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        source = pathlib.Path(options.wordnet or scratch)
        if not options.wordnet:
            fetch_wordnet(source)
        texts = wordnet_texts(source)
    rows = unit_length(embed(texts, options.model, options.threads))
    order = numpy.random.default_rng(SEED).permutation(len(rows))
    held_out, kept = rows[order[:QUERIES]], rows[order[QUERIES:]]
    kept.tofile(folder / "vectors.f32")
    held_out.tofile(folder / "queries.f32")
    finish(folder, f"WordNet 3.0, definitions and examples, {pathlib.Path(options.model).name}", rows.shape[1])


# --- The mixture -----------------------------------------------------------------------------


class Mixture:
    """Clusters of very different sizes and spreads, each stretched in dimensions of its own."""

    def __init__(self, random: numpy.random.Generator):
        plane = random.standard_normal((CENTRE_DIMENSIONS, DIMENSION))
        # The first dimensions of the plane matter more, as in the vectors of a trained encoder.
        plane *= numpy.arange(1, CENTRE_DIMENSIONS + 1)[:, None] ** -0.25
        self.centres = unit_length(random.standard_normal((CENTRES, CENTRE_DIMENSIONS)) @ plane)
        spread = random.standard_normal((SUBSPACES, NOISE_DIMENSIONS, DIMENSION))
        self.subspaces = (spread / numpy.sqrt(NOISE_DIMENSIONS * DIMENSION)).astype("<f4")
        self.spreads = NOISE_LENGTH * random.lognormal(0, 0.25, CENTRES).astype("<f4")
        weights = numpy.arange(1, CENTRES + 1) ** POWER
        self.weights = weights / weights.sum()

    def draw(self, count: int, random: numpy.random.Generator) -> numpy.ndarray:
        clusters = random.choice(CENTRES, count, p=self.weights)
        rows = self.centres[clusters]
        rows += random.standard_normal(rows.shape, "f4") * (ROUND_NOISE_LENGTH / DIMENSION**0.5)
        noise = random.standard_normal((count, NOISE_DIMENSIONS), "f4") * self.spreads[clusters, None]
        for subspace in range(SUBSPACES):
            chosen = clusters % SUBSPACES == subspace
            rows[chosen] += noise[chosen] @ self.subspaces[subspace]
        return unit_length(rows)


def make_synthetic(folder: pathlib.Path, options) -> None:
    random = numpy.random.default_rng(SEED)
    mixture = Mixture(random)
    with open(folder / "vectors.f32", "wb") as file:
        for start in range(0, options.count, BLOCK):
            mixture.draw(min(BLOCK, options.count - start), random).tofile(file)
    mixture.draw(QUERIES, random).tofile(folder / "queries.f32")
    finish(folder, f"{CENTRES} clusters in {CENTRE_DIMENSIONS}+{NOISE_DIMENSIONS} dimensions, seed {SEED}", DIMENSION)


# --- Both ------------------------------------------------------------------------------------


def unit_length(rows: numpy.ndarray) -> numpy.ndarray:
    lengths = numpy.linalg.norm(rows.astype("f8"), axis=1, keepdims=True)
    return (rows / lengths).astype("<f4")


def finish(folder: pathlib.Path, made_of: str, dimension: int) -> None:
    """Computes the exact scores and writes, last of all, what says that the set is whole."""
    vectors = numpy.memmap(folder / "vectors.f32", "<f4", "r").reshape(-1, dimension)
    queries = numpy.fromfile(folder / "queries.f32", "<f4").reshape(-1, dimension)
    tenth_scores(vectors, queries).astype("<f8").tofile(folder / "exact.f64")
    about = {
        "dimension": dimension,
        "vectors": len(vectors),
        "queries": len(queries),
        "neighbours": NEIGHBOURS,
        "made_of": made_of,
    }
    (folder / "about.json").write_text(json.dumps(about, indent=1) + "\n")


def tenth_scores(vectors: numpy.ndarray, queries: numpy.ndarray) -> numpy.ndarray:
    """Each query's 10th greatest inner product in f64: a shortlist in f32, scored again."""
    shortlist = 4 * NEIGHBOURS
    best_scores = numpy.full((len(queries), 0), 0, "f4")
    best_rows = numpy.full((len(queries), 0), 0, "i8")
    for start in range(0, len(vectors), BLOCK):
        scores = queries @ vectors[start : start + BLOCK].T
        width = scores.shape[1]
        rows = numpy.argpartition(scores, max(width - shortlist, 0), axis=1)[:, -shortlist:]
        best_scores = numpy.hstack([best_scores, numpy.take_along_axis(scores, rows, 1)])
        best_rows = numpy.hstack([best_rows, rows + start])
        kept = numpy.argsort(-best_scores, axis=1, kind="stable")[:, :shortlist]
        best_scores = numpy.take_along_axis(best_scores, kept, 1)
        best_rows = numpy.take_along_axis(best_rows, kept, 1)
    exact = numpy.einsum("qrd,qd->qr", vectors[best_rows].astype("f8"), queries.astype("f8"))
    return -numpy.sort(-exact, axis=1)[:, NEIGHBOURS - 1]


MAKERS = {"wordnet": make_wordnet, "synthetic": make_synthetic}


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=MAKERS)
    parser.add_argument("--data", required=True, metavar="FOLDER")
    parser.add_argument("--wordnet", metavar="FOLDER", help="where data.noun, data.verb, data.adj and data.adv are")
    parser.add_argument("--model", metavar="FOLDER", help="a sentence-transformers model; needed for wordnet")
    parser.add_argument("--count", type=int, default=SYNTHETIC_VECTORS, help="how many synthetic vectors")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.set == "wordnet" and not options.model:
        parser.error("--model is needed for wordnet")
    if options.count < NEIGHBOURS:
        parser.error(f"--count starts at {NEIGHBOURS}")
    return options


def main() -> None:
    options = parse_options()
    folder = pathlib.Path(options.data) / options.set
    if (folder / "about.json").exists():
        print(f"{folder} is there already")
        return
    folder.mkdir(parents=True, exist_ok=True)
    try:
        MAKERS[options.set](folder, options)
    except MissingData as problem:
        sys.exit(f"error: {problem}")
    print(DataSet(folder).about)


if __name__ == "__main__":
    main()
