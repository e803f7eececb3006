"""FAISS, usearch and hnswlib behind the protocol of the vector-search comparison.

    python benches/peers/vector_peers.py faiss|usearch|hnswlib

It reads a request and writes an answer a line, as `vector_search.py` describes at its head; the
driver starts it. Single queries go to the lowest call that Python can reach, with everything
prepared that can be, so that what is timed is the library.
"""

import json
import os
import pathlib
import sys
import time
from importlib.metadata import version

import numpy

NO_ROW = numpy.iinfo("<u8").max


class Faiss:
    """Kinds are strings of FAISS's index factory; inner product."""

    def __init__(self, dimension: int):
        import faiss

        self.faiss, self.dimension, self.index = faiss, dimension, None
        extensions = faiss.get_compile_options().replace("OPTIMIZE", "").split()
        self.about = f"faiss-cpu {version('faiss-cpu')} ({' '.join(extensions)})"

    def build(self, vectors, kind: str, threads: int) -> dict:
        self.faiss.omp_set_num_threads(threads)
        self.index = self.faiss.index_factory(self.dimension, kind, self.faiss.METRIC_INNER_PRODUCT)
        started = time.perf_counter()
        self.index.train(vectors)
        trained = time.perf_counter()
        self.index.add(vectors)
        return {"seconds": time.perf_counter() - started, "train_seconds": trained - started}

    def tune(self, threads: int, probes=None, rerank=None, expansion=None) -> None:
        self.faiss.omp_set_num_threads(threads)
        space = self.faiss.ParameterSpace()
        for name, value in (("nprobe", probes), ("efSearch", expansion), ("k_factor_rf", rerank)):
            if value is not None:
                space.set_index_parameter(self.index, name, value)

    def one_by_one(self, queries, k: int):
        scores, found = numpy.empty((len(queries), k), "f4"), numpy.empty((len(queries), k), "i8")
        pointer = self.faiss.swig_ptr
        calls = [(pointer(queries[row]), pointer(scores[row]), pointer(found[row])) for row in range(len(queries))]
        # A pointer keeps no array alive: what it points into has to be kept here.
        search, kept = self.index.search_c, (queries, scores, found)

        def run():
            for query, score, ids in calls:
                search(1, query, k, score, ids, None)
            return kept[-1]

        return run

    def batch(self, queries, k: int, threads: int):
        return lambda: self.index.search(queries, k)[1]

    def save(self, file: str) -> None:
        self.faiss.write_index(self.index, file)

    def open(self, file: str, kind: str, mapped: bool) -> None:
        self.index = self.faiss.read_index(file, self.faiss.IO_FLAG_MMAP_IFC if mapped else 0)


class Usearch:
    """Kinds are `f32` and `i8`, graphs of 16 neighbours; inner product."""

    def __init__(self, dimension: int):
        import usearch.index

        self.usearch, self.dimension, self.index = usearch.index, dimension, None
        self.about = f"usearch {version('usearch')}"

    def build(self, vectors, kind: str, threads: int) -> dict:
        self.index = self.usearch.Index(ndim=self.dimension, metric="ip", dtype=kind)
        started = time.perf_counter()
        self.index.add(numpy.arange(len(vectors), dtype="u8"), vectors, threads=threads)
        return {"seconds": time.perf_counter() - started}

    def tune(self, threads: int, expansion: int) -> None:
        self.index.expansion_search = expansion

    def one_by_one(self, queries, k: int):
        calls = [queries[row : row + 1] for row in range(len(queries))]
        # What `Index.search` calls once it has checked its arguments.
        search = self.index._compiled.search_many

        def run():
            return [search(query, count=k, threads=1)[0] for query in calls]

        return run

    def batch(self, queries, k: int, threads: int):
        return lambda: self.index.search(queries, k, threads=threads).keys

    def save(self, file: str) -> None:
        self.index.save(file)

    def open(self, file: str, kind: str, mapped: bool) -> None:
        self.index = self.usearch.Index.restore(file, view=mapped)


class Hnswlib:
    """Kinds are `M16` and `M32`: the graph's neighbours; inner product."""

    EF_CONSTRUCTION = 200

    def __init__(self, dimension: int):
        import hnswlib

        self.hnswlib, self.dimension, self.index = hnswlib, dimension, None
        self.about = f"hnswlib {version('hnswlib')} (compiled on this machine if pip had no wheel)"

    def build(self, vectors, kind: str, threads: int) -> dict:
        self.index = self.hnswlib.Index("ip", self.dimension)
        neighbours = int(kind.removeprefix("M"))
        self.index.init_index(len(vectors), M=neighbours, ef_construction=self.EF_CONSTRUCTION, random_seed=100)
        started = time.perf_counter()
        self.index.add_items(vectors, num_threads=threads)
        return {"seconds": time.perf_counter() - started}

    def tune(self, threads: int, expansion: int) -> None:
        self.index.set_ef(expansion)

    def one_by_one(self, queries, k: int):
        calls, search = [queries[row : row + 1] for row in range(len(queries))], self.index.knn_query

        def run():
            return [search(query, k=k, num_threads=1)[0] for query in calls]

        return run

    def batch(self, queries, k: int, threads: int):
        return lambda: self.index.knn_query(queries, k=k, num_threads=threads)[0]

    def save(self, file: str) -> None:
        self.index.save_index(file)

    def open(self, file: str, kind: str, mapped: bool) -> None:
        if mapped:
            raise ValueError("hnswlib does not map files")
        self.index = self.hnswlib.Index("ip", self.dimension)
        self.index.load_index(file)


PEERS = {"faiss": Faiss, "usearch": Usearch, "hnswlib": Hnswlib}


class Session:
    """One peer, its data and its index; a method for every operation of the protocol."""

    def __init__(self, peer: str):
        self.peer_class, self.peer = PEERS[peer], None
        self.vectors = self.queries = None

    def load(self, queries: str, dimension: int, vectors: str | None = None) -> dict:
        self.peer = self.peer_class(dimension)
        self.queries = numpy.fromfile(queries, "<f4").reshape(-1, dimension)
        if vectors:
            # Mapped: it is the index that is to be found in the process's memory, not its input.
            self.vectors = numpy.memmap(vectors, "<f4", "r").reshape(-1, dimension)
        return {"about": self.peer.about}

    def build(self, kind: str, threads: int) -> dict:
        self.peer.index = None
        return self.peer.build(self.vectors, kind, threads)

    def search(self, k: int, mode: str, threads: int, queries: int, passes: int, ids: str | None = None, **tuning):
        self.peer.tune(threads, **tuning)
        chosen = self.queries[:queries]
        run = self.peer.one_by_one(chosen, k) if mode == "one" else self.peer.batch(chosen, k, threads)
        started = time.perf_counter()
        for _ in range(passes):
            found = run()
        seconds = time.perf_counter() - started
        if ids:
            write_ids(found, len(chosen), k, ids)
        return {"seconds": seconds}

    def save(self, file: str) -> dict:
        self.peer.save(file)
        return {"bytes": pathlib.Path(file).stat().st_size}

    def open(self, file: str, kind: str, k: int, mapped: bool = False) -> dict:
        query = self.queries[:1]
        started = time.perf_counter()
        self.peer.open(file, kind, mapped)
        self.peer.batch(query, k, 1)()
        return {"seconds": time.perf_counter() - started}


def write_ids(found, queries: int, k: int, file: str) -> None:
    ids = numpy.full((queries, k), NO_ROW, "<u8")
    rows = numpy.asarray(found).reshape(queries, -1)
    # FAISS says -1 where it found less, which is NO_ROW in u64.
    ids[:, : rows.shape[1]] = rows.astype("i8").astype("<u8")
    ids.tofile(file)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    # Libraries print to the standard output too; that must not get between the answers.
    os.dup2(2, 1)
    session = Session(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        operation = request.pop("op")
        try:
            answer = getattr(session, operation)(**request)
        except Exception as problem:
            answer = {"error": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
