"""What HTTP costs: our real server beside the same engine in process, and what it takes of memory and time.

    cargo build --release -p longtrainer-server --bin serve
    cargo build --release -p longtrainer-benches --bin http_overhead
    python benches/peers/http_figures.py --serve target/release/serve --overhead target/release/http_overhead \\
        --squad squad_sample.json

Figures: the overhead of a request and of eight chats, embeddings at 32 clients, the memory of idle streams
and open connections, the time from the start to `/ready`. The results go to `benches/results/http.json`;
with `--quick`, which measures little of each, they are only printed. The exit status is 1 if a bar is missed.
"""

import argparse
import datetime
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

import http_memory
import http_report as report
from http_serve import Serve
from side_by_side import (
    Meter,
    Mismatch,
    children_seconds,
    describe_machine,
    longtrainer_version,
    print_disturbance,
    print_machine,
    print_table,
    usable_cores,
    write_json,
)

ROOT = pathlib.Path(__file__).parent.parent.parent
RESULTS = ROOT / "benches" / "results" / "http.json"
FIGURES = ["latency", "throughput", "embeddings", "memory", "start"]
OVERHEAD = FIGURES[:3]
QUICK = ["--rounds", "2", "--requests", "20", "--answers", "1", "--max-tokens", "16", "--embedding-texts", "64"]
LEAST_WORDS = 20


def texts(squad: str | None) -> list:
    """Paragraphs of a SQuAD file, each once, or else those of the repository's own documents."""
    if squad:
        articles = json.loads(pathlib.Path(squad).read_text())["data"]
        found = [paragraph["context"] for article in articles for paragraph in article["paragraphs"]]
    else:
        files = sorted(path for folder in (ROOT, ROOT / "docs", ROOT / "crates") for path in folder.glob("*.md"))
        found = [part for file in files for part in re.split(r"\n\s*\n", file.read_text())]
    return list(dict.fromkeys(text.strip() for text in found if len(text.split()) >= LEAST_WORDS))


def overhead(options) -> dict:
    """The engine in process and the server, in turns, by one program that is both caller and client."""
    wanted = [name for name in OVERHEAD if name in options.figures]
    if not wanted:
        return {}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file, Serve(options.serve, serve_flags(options)) as server:
        json.dump(texts(options.squad), file)
        file.flush()
        command = [options.overhead, "--address", server.address, "--texts", file.name]
        command += [part for name in wanted for part in ("--figure", name)]
        command += QUICK if options.quick else ["--rounds", str(options.rounds)]
        if options.models_dir:
            command += ["--models-dir", options.models_dir]
        meter = Meter(lambda: server.seconds() + children_seconds())
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        used = meter.stop()
        if done.returncode != 0:
            raise Mismatch(f"{options.overhead}: exit status {done.returncode}\n{server.last_lines()}")
        print_disturbance([used])
        return {**json.loads(done.stdout), "cores_used_by_others": used["cores_used_by_others"]}


def starts(options) -> dict:
    """Seconds from the start to `/ready`, with the models loaded and without, files warm."""
    count = 2 if options.quick else options.starts
    found = {}
    for name, flags in (("models loaded", ["--warm"]), ("models to be loaded", [])):
        # The first one warms the files.
        seconds = [one_start(options, flags) for _ in range(count + 1)]
        found[name] = seconds[1:]
    return found


def one_start(options, flags: list) -> float:
    with Serve(options.serve, [*plain_flags(options), *flags]) as server:
        return server.ready_after


def plain_flags(options) -> list:
    models = ["--models-dir", options.models_dir] if options.models_dir else []
    return [*models, *shlex.split(options.serve_flags)]


def serve_flags(options) -> list:
    return ["--warm", *plain_flags(options)]


def measure(options) -> dict:
    measured = overhead(options)
    if "memory" in options.figures:
        measured["memory"] = http_memory.measure(options.serve, plain_flags(options), list(http_memory.REQUESTS))
    if "start" in options.figures:
        measured["start"] = starts(options)
    return measured


def print_results(found: list, measured: dict) -> None:
    print()
    print_table(["what", "measured (least to greatest)", "asked for", "reached"], report.bar_rows(found))
    print()
    print_table(["of which", "median", "beside"], report.detail_rows(measured))


def measure_all(options) -> bool:
    """Whether every bar is reached."""
    machine = describe_machine()
    print_machine(machine, usable_cores())
    measured = measure(options)
    found = report.figures(measured)
    print_results(found, measured)
    names = [pathlib.PurePath(part).name if "/" in part else part for part in sys.argv]
    content = {
        "machine": machine,
        "date": datetime.date.today().isoformat(),
        "longtrainer": longtrainer_version(options.serve),
        "command": shlex.join(["python", *names]),
        "figures": found,
        "measured": measured,
    }
    write_json(options.out, content)
    return all(each["reached"] for each in found)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serve", required=True, metavar="PROGRAM", help="our server")
    parser.add_argument("--overhead", metavar="PROGRAM", help="the program that asks it and the engine in process")
    parser.add_argument("--squad", metavar="FILE.json", help="texts in SQuAD's layout [default: this repository's]")
    parser.add_argument("--models-dir", metavar="DIR")
    parser.add_argument("--serve-flags", default="", metavar="FLAGS", help="further flags for it, in one string")
    parser.add_argument("--figures", type=lambda names: names.split(","), default=FIGURES, metavar="NAMES")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="little of each, to see that all works")
    parser.add_argument("--out", metavar="FILE", help="for the results, if not benches/results/http.json")
    options = parser.parse_args()
    unknown = set(options.figures) - set(FIGURES)
    if unknown:
        parser.error(f"unknown figures {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    if set(options.figures) & set(OVERHEAD) and not options.overhead:
        parser.error(f"{', '.join(OVERHEAD)} need --overhead")
    if options.rounds < 1 or options.starts < 1:
        parser.error("--rounds and --starts start at 1")
    if options.out is None and not options.quick:
        options.out = str(RESULTS)
    return options


def main() -> None:
    options = parse_options()
    try:
        reached = measure_all(options)
    except Mismatch as problem:
        sys.exit(f"error: {problem}")
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
