"""The process of one index: asking it, timing it, watching its memory."""

import json
import math
import os
import pathlib
import re
import select
import subprocess
import sys
import tempfile
import time

import numpy

from side_by_side import Meter, Mismatch, check_cores, processor
from vector_curves import recall
from vector_data import NEIGHBOURS, DataSet
from vector_kinds import OURS

# Of each operation the field that has to be in its answer.
ANSWERS = {
    "load": "about",
    "build": "seconds",
    "search": "seconds",
    "save": "bytes",
    "open": "seconds",
    "bandwidth": "bytes_per_second",
}
LEAST_QUERIES = 20
# Thread pools spin for a while after their last job; the next system waits for that to end.
SETTLE_SECONDS = 0.1
# A search that takes longer than this hangs.
SEARCH_LIMIT_SECONDS = 300
ENDING_SECONDS = 20


class Worker:
    """A process with one index."""

    def __init__(self, kind, data: DataSet, options, with_vectors: bool):
        self.kind, self.data, self.threads = kind, data, options.threads
        if kind.system == OURS:
            command = [options.ours]
        else:
            command = [sys.executable, str(pathlib.Path(__file__).with_name("vector_peers.py")), kind.system.lower()]
        limits = {"OMP_NUM_THREADS": str(options.threads), "OPENBLAS_NUM_THREADS": str(options.threads)}
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **limits, **blas_core()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if options.verbose else subprocess.DEVNULL,
            text=True,
        )
        vectors = {"vectors": str(data.vectors_file)} if with_vectors else {}
        self.about = self.ask("load", queries=str(data.queries_file), dimension=data.dimension, **vectors)

    def open(self, mapped: bool = False) -> float:
        """Opens the saved index: the seconds to its first answer."""
        file = str(index_file(self.kind, self.data))
        return self.ask("open", file=file, kind=self.kind.build["kind"], k=NEIGHBOURS, mapped=mapped)["seconds"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ask(self, operation: str, **request) -> dict:
        try:
            print(json.dumps({"op": operation, **request}), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass
        limit = SEARCH_LIMIT_SECONDS if operation == "search" else None
        readable, _, _ = select.select([self.process.stdout], [], [], limit)
        if not readable:
            raise Mismatch(f"{self.kind} has not answered a search for {limit} s")
        line = self.process.stdout.readline()
        if not line:
            raise Mismatch(f"{self.kind} ended at {operation} with status {self.process.wait()}; --verbose shows why")
        return self.checked(operation, line)

    def checked(self, operation: str, line: str) -> dict:
        try:
            answer = json.loads(line)
            if "error" in answer:
                raise Mismatch(f"{self.kind}, {operation}: {answer['error']}")
            value = answer[ANSWERS[operation]]
        except (ValueError, TypeError, KeyError) as problem:
            raise Mismatch(f"{self.kind} did not answer {operation} as it should ({problem!r}): {line[:500]}")
        if operation != "load" and not value > 0:
            raise Mismatch(f"{self.kind} answered {operation} with {value}")
        return answer

    def metered(self, operation: str, **request) -> dict:
        """An answer, with the cores that were used for it by the process and by others."""
        time.sleep(SETTLE_SECONDS)
        meter = Meter(lambda: processor_seconds(self.process.pid))
        answer = self.ask(operation, **request)
        used = meter.stop()
        check_cores(str(self.kind), used, request["threads"])
        return {**used, **answer}

    def memory(self) -> int | None:
        """Bytes that the process holds and that no file backs; Linux only."""
        try:
            status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return None
        found = re.search(r"RssAnon:\s+(\d+) kB", status)
        return int(found[1]) * 1024 if found else None

    def queries_in(self, seconds: float, tuning: dict) -> int:
        """How many queries, all or fewer, are answered one at a time in about so long."""
        few = min(LEAST_QUERIES, len(self.data.queries))
        asked = {"k": NEIGHBOURS, "mode": "one", "threads": 1, "queries": few, "passes": 1, **tuning}
        took = self.ask("search", **asked)["seconds"]
        return min(len(self.data.queries), max(few, int(few * seconds / took)))

    def sample(self, tuning: dict, mode: str, threads: int, queries: int, at_least: float) -> dict:
        """Queries a second and recall: one pass to warm up and for the rows, then passes that are timed."""
        request = {"k": NEIGHBOURS, "mode": mode, "threads": threads, "queries": queries, **tuning}
        with tempfile.TemporaryDirectory() as scratch:
            file = pathlib.Path(scratch) / "ids.u64"
            first = self.ask("search", passes=1, ids=str(file), **request)["seconds"]
            ids = numpy.fromfile(file, "<u8").reshape(queries, NEIGHBOURS)
        passes = max(1, math.ceil(at_least / max(first, 1e-6)))
        timed = self.metered("search", passes=passes, **request)
        return {
            "rate": queries * passes / timed["seconds"],
            "recall": recall(self.data, ids),
            "threads": threads,
            "queries": queries,
            "cores_used": timed["cores_used"],
            "cores_used_by_others": timed["cores_used_by_others"],
        }


def blas_core() -> dict:
    """The OpenBLAS that comes with FAISS knows no recent processor and is three times slower if not told."""
    extensions = processor()["extensions"]
    core = "SkylakeX" if "avx512f" in extensions else "Haswell" if "avx2" in extensions else None
    return {"OPENBLAS_CORETYPE": core} if core else {}


def processor_seconds(process: int) -> float:
    """What a process has worked; 0 where that is not told, which checks nothing."""
    try:
        fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def index_file(kind, data: DataSet) -> pathlib.Path:
    folder = data.folder / "indexes"
    folder.mkdir(exist_ok=True)
    return folder / f"{kind.system.lower()}-{re.sub(r'[^A-Za-z0-9.]+', '-', kind.name)}.index"
