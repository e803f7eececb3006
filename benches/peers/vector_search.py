"""Longtrainer's vector index beside FAISS, usearch and hnswlib: same vectors, same threads, in turns.

    pip install numpy matplotlib faiss-cpu usearch hnswlib
    cargo build --release -p longtrainer-index --example peer
    python benches/peers/vector_search.py --data DATA --set wordnet --ours target/release/examples/peer

`vector_data.py` makes the data. First every kind of index of every system is built, saved, opened
and swept over its parameters. Then the points next to a recall of 0.95 and 0.98 of each system's best
kind are measured again in turns, for as many rounds as asked, and the table is made of those.

Each index lives in a process of its own, which reads a request and writes an answer a line, each one
JSON object, and times only the library's call. `vector_peers.py` answers for the peers, our binary for
us. The operations, with what is asked and (after the arrow) answered:

    load       queries, dimension, vectors?               -> about, isa?
    build      kind, threads, lists?, recall?             -> seconds
    search     k, mode, threads, queries, passes, ids?,
               probes?, rerank?, recall?                  -> seconds
    save       file                                       -> bytes
    open       file, kind, k, mapped                      -> seconds
    bandwidth  threads                                    -> bytes_per_second

`queries` and `vectors` of `load` name files of little-endian f32, rows of `dimension` without a header;
`about` is the system with its version, `isa` the instruction tier in use. The process may not keep the
vectors beside the index, because its memory is read before and after `build`. `build` replaces an
index that is there; `kind` is flat, flat-bytes, ivf-bits, ivf-bytes or auto for ours. `search` goes
`passes` times through the first `queries` queries, one call for each (`one`) or a call for all
(`batch`), on that many threads; the seconds are of all passes; `ids` is a file that the last pass's
rows are written to after the timing, queries x k as little-endian u64, by falling score, filled up
with 2^64-1. `open` is timed to the first query's answer; ours maps its file whatever is asked. A
request that fails is answered with `error`, a sentence. The end of the input ends the process.
"""

import argparse
import json
import pathlib
import re
import sys

import vector_report
from side_by_side import (
    Mismatch,
    alternated,
    describe_machine,
    print_disturbance,
    print_machine,
    summary,
    write_json,
)
from vector_curves import bracket, rate_at, speed_at
from vector_data import DataSet, MissingData
from vector_kinds import OURS, PEER_SYSTEMS, kinds_of
from vector_worker import Worker, index_file

TARGETS = (0.95, 0.98)
MODES = ("one", "batch")
# What counts as exact: rounding in f32 may exchange neighbours of nearly equal score.
EXACT = 0.999
# A sweep goes no further than this, nor when twice the work finds no more than the least gain.
ENOUGH = 0.995
LEAST_GAIN = 0.001

# A sample lasts at least so long: shorter in the sweep, whose points the rounds measure again.
SWEEP_SECONDS, ROUND_SECONDS = 0.3, 0.6
# Where a single query is slow, fewer of them are asked one at a time.
ONE_BY_ONE_SECONDS = 1.0


# --- Building, saving, opening ---------------------------------------------------------------


def ready(worker: Worker, data: DataSet, options) -> dict:
    """Builds the worker's index and saves it, or opens a peer's that an earlier run built alike."""
    kind, file = worker.kind, index_file(worker.kind, data)
    note = file.with_suffix(".json")
    made_for = {"about": worker.about["about"], "threads": options.threads, "data": data.about}
    before = worker.memory()
    if kind.system != OURS and not options.rebuild and note.exists():
        built = json.loads(note.read_text())
        if built["made_for"] == made_for:
            worker.open()
            return {**built, "reused": True}
    answer = worker.metered("build", threads=options.threads, **kind.build)
    after = worker.memory()
    built = {
        "made_for": made_for,
        "seconds": answer["seconds"],
        "memory_bytes": None if before is None else after - before,
        "file_bytes": worker.ask("save", file=str(file))["bytes"],
        "cores_used_by_others": answer["cores_used_by_others"],
    }
    write_json(note, built)
    return {**built, "reused": False}


def opened(kind, data: DataSet, options) -> dict:
    """Seconds from opening the file to the first answer, in fresh processes; the faster way of two."""
    ways = {}
    for mapped in (False, True) if kind.can_map else (False,):
        seconds = []
        for _ in range(options.rounds):
            with Worker(kind, data, options, with_vectors=False) as worker:
                seconds.append(worker.open(mapped))
        ways["mapped" if mapped else "read"] = summary(seconds)
    best = min(ways, key=lambda way: ways[way]["median"])
    return {"way": best, "seconds": ways[best]["median"], "ways": ways}


# --- The sweep -------------------------------------------------------------------------------


def measure_kind(kind, data: DataSet, options) -> dict:
    with Worker(kind, data, options, with_vectors=True) as worker:
        built = ready(worker, data, options)
        points = [point for line in kind.sweep for point in measure_line(worker, line, options)]
        about = worker.about
    return {
        "system": kind.system,
        "name": kind.name,
        "family": kind.family,
        "flat": kind.flat,
        "about": about,
        "build": built,
        "open": opened(kind, data, options),
        "points": points,
    }


def measure_line(worker: Worker, line: list, options) -> list:
    """Points of growing effort, until more effort finds no more."""
    points = []
    for tuning in line:
        point = measure_point(worker, tuning, options)
        gained = point["batch"]["recall"] - (points[-1]["batch"]["recall"] if points else 0)
        points.append(point)
        if point["batch"]["recall"] >= ENOUGH or gained < LEAST_GAIN:
            break
    return points


def measure_point(worker: Worker, tuning: dict, options) -> dict:
    everything = len(worker.data.queries)
    batch = worker.sample(tuning, "batch", options.threads, everything, SWEEP_SECONDS)
    queries = worker.queries_in(ONE_BY_ONE_SECONDS, tuning)
    # Only the scan of everything is long enough for more threads to help a single query.
    counts = {1, options.threads} if worker.kind.flat else {1}
    tried = [worker.sample(tuning, "one", threads, queries, SWEEP_SECONDS) for threads in sorted(counts)]
    one = max(tried, key=lambda sample: sample["rate"])
    one["recall_of_these_queries"] = one["recall"]
    if queries < everything:
        one["recall"] = batch["recall"]
    return {"tuning": tuning, "one": one, "batch": batch}


# --- The rounds ------------------------------------------------------------------------------


def best_kind(kinds: list, mode: str, target: float | None) -> tuple | None:
    """Of one system's kinds the fastest at a recall, or the fastest exact one: it, and its points to measure."""
    found = []
    for kind in kinds:
        if target is None:
            points = [point for point in kind["points"] if kind["flat"] and point[mode]["recall"] >= EXACT]
            points = sorted(points, key=lambda point: -point[mode]["rate"])[:1]
            speed = points[0][mode]["rate"] if points else None
        else:
            points, speed = bracket(kind["points"], mode, target), speed_at(kind["points"], mode, target)
        if speed is not None:
            found.append((speed, kind, points))
    if not found:
        return None
    _, kind, points = max(found, key=lambda entry: entry[0])
    return kind, points


def in_turns(kinds: dict, measured: list, data: DataSet, options, mode: str, target: float | None) -> dict:
    """Every system's best kind, once a round."""
    chosen = {}
    for system in dict.fromkeys(kind["system"] for kind in measured):
        best = best_kind([kind for kind in measured if kind["system"] == system], mode, target)
        if best:
            chosen[system] = best
    workers, runs = {}, {system: [] for system in chosen}
    try:
        for system, (kind, _) in chosen.items():
            workers[system] = Worker(kinds[system, kind["name"]], data, options, with_vectors=False)
            workers[system].open()
        # No system has an exact index where only some kinds were asked for.
        for turn in range(options.rounds if chosen else 0):
            for system in alternated(list(chosen), turn):
                samples = [measure_again(workers[system], point, mode) for point in chosen[system][1]]
                pairs = [(sample["recall"], sample["rate"]) for sample in samples]
                runs[system].append({"value": rate_at(pairs, target or 0), "samples": samples})
    finally:
        for worker in workers.values():
            worker.__exit__()
    systems = {
        system: {
            "kind": kind["name"],
            "tunings": [point["tuning"] for point in points],
            "threads": points[0][mode]["threads"],
            **summary([run["value"] for run in runs[system]]),
            "runs": runs[system],
        }
        for system, (kind, points) in chosen.items()
    }
    return {"mode": mode, "recall": target, "unit": "queries/s", "systems": systems}


def measure_again(worker: Worker, point: dict, mode: str) -> dict:
    swept = point[mode]
    sample = worker.sample(point["tuning"], mode, swept["threads"], swept["queries"], ROUND_SECONDS)
    # With the recall over all queries, where the sweep took it from the batch.
    return {**sample, "recall": swept["recall"]}


# --- The comparison --------------------------------------------------------------------------


def bandwidth(kinds: list, data: DataSet, options) -> dict | None:
    ours = next((kind for kind in kinds if kind.system == OURS), None)
    if ours is None:
        return None
    with Worker(ours, data, options, with_vectors=False) as worker:
        ask = lambda threads: worker.metered("bandwidth", threads=threads)["bytes_per_second"]
        return {str(threads): ask(threads) for threads in sorted({1, options.threads})}


def measure(options) -> None:
    machine, data = describe_machine(), DataSet(pathlib.Path(options.data) / options.set)
    kinds = [kind for kind in kinds_of(data) if kind.system in options.systems and re.search(options.kinds, str(kind))]
    if not kinds:
        raise Mismatch(f"no kind of index matches {options.kinds}")
    print_machine(machine, options.threads)
    reached = bandwidth(kinds, data, options)
    measured = []
    for kind in kinds:
        measured.append(measure_kind(kind, data, options))
        print(f"{kind} done", file=sys.stderr)
    by_name = {(kind.system, kind.name): kind for kind in kinds}
    pairs = [(target, mode) for target in (None, *TARGETS) for mode in MODES]
    tests = [in_turns(by_name, measured, data, options, mode, target) for target, mode in pairs]
    content = {
        "set": data.name,
        "data": data.about,
        "machine": machine,
        "threads": options.threads,
        "rounds": options.rounds,
        "systems": {kind["system"]: kind["about"] for kind in measured},
        "bandwidth_bytes_per_second": reached,
        "tests": tests,
        "kinds": measured,
    }
    vector_report.write(pathlib.Path(options.results), content)
    runs = [run for test in tests for system in test["systems"].values() for run in system["runs"]]
    print_disturbance([sample for run in runs for sample in run["samples"]])


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, metavar="FOLDER", help="where vector_data.py put its sets")
    parser.add_argument("--set", required=True, help="wordnet or synthetic")
    parser.add_argument("--ours", metavar="PROGRAM", help="target/release/examples/peer; without it only the peers run")
    parser.add_argument("--kinds", default="", metavar="PATTERN", help="only kinds like `FAISS IVF1024` that match")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rebuild", action="store_true", help="build the peers' indexes anew, not open saved ones")
    parser.add_argument("--results", default=str(pathlib.Path(__file__).parents[1] / "results"), metavar="FOLDER")
    parser.add_argument("--verbose", action="store_true", help="show what the systems complain of")
    options = parser.parse_args()
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads start at 1")
    options.systems = PEER_SYSTEMS + ([OURS] if options.ours else [])
    return options


def main() -> None:
    options = parse_options()
    try:
        measure(options)
    except (Mismatch, MissingData) as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()
