"""Runs Longtrainer and llama.cpp in turns on the same GGUF with the same threads, and prints both.

    python benches/peers/llama_cpp.py --build FOLDER
    python benches/peers/llama_cpp.py --model MODEL.gguf --longtrainer target/release/longtrainer \\
        --llama-bench FOLDER/native/bin/llama-bench --llama-bench-avx2 FOLDER/avx2/bin/llama-bench

Tests are written as llama.cpp names them: `pp512` reads a prompt of 512 tokens, `tg128` writes 128
tokens one by one, `tg128@2048` does so after a context of 2,048. Each round runs every test once on
each system, in an order that changes each round; the figures are medians over the rounds.

`--build` fetches llama.cpp's source with pip and builds it with clang twice: with every extension
that this machine has out of AVX-512 and AMX, and with AVX2 only.
"""

import argparse
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

from side_by_side import (
    Mismatch,
    alternated,
    check_cores,
    describe_machine,
    longtrainer_bench,
    longtrainer_version,
    number,
    print_disturbance,
    print_machine,
    print_table,
    processor,
    run_counted,
    summary,
    with_spread,
    write_json,
)

TESTS = "pp512,pp2048,tg128,tg128@2048"
OURS, PEER = "longtrainer", "llama.cpp"

# What llama-bench says on its error output when it was compiled for AMX and the machine has none.
AMX_REFUSED = "AMX is not ready"

COMMON_SWITCHES = ["NATIVE=OFF", "AVX=ON", "AVX2=ON", "FMA=ON", "F16C=ON", "BMI2=ON"]
# Every further switch with the processor's flag that it needs: a build with an extension that the
# machine lacks either crashes or quietly compares something else.
FURTHER_SWITCHES = {
    "AVX512": "avx512bw",
    "AVX512_VNNI": "avx512_vnni",
    "AVX512_VBMI": "avx512vbmi",
    "AVX512_BF16": "avx512_bf16",
    "AMX_TILE": "amx_tile",
    "AMX_INT8": "amx_int8",
    "AMX_BF16": "amx_bf16",
}
PACKAGE = "llama-cpp-python"


def parse_test(name: str) -> dict:
    found = re.fullmatch(r"(pp|tg)([1-9]\d*)(?:@(\d+))?", name)
    if not found:
        raise argparse.ArgumentTypeError(f"{name!r} is no test; examples are pp512, tg128, tg128@2048")
    kind, length, depth = found.groups()
    return {"name": name, "kind": kind, "length": int(length), "depth": int(depth or 0)}


def parse_tests(names: str) -> list:
    return [parse_test(name.strip()) for name in names.split(",")]


def run_longtrainer(options, isa: str | None, test: dict) -> dict:
    arguments = ["text", "--model-file", options.model, "--tests", test["name"]]
    return longtrainer_bench(options.longtrainer, arguments, test["name"], options.threads, isa)


def run_llama_bench(options, program: str, test: dict) -> dict:
    """One test of llama-bench, which warms itself up, refused unless it ran as it was asked to."""
    prompt, generated = (test["length"], 0) if test["kind"] == "pp" else (0, test["length"])
    shape = ["-p", prompt, "-n", generated, "-d", test["depth"]]
    # No layers on a GPU, in case the build found one: both systems are compared on the processor.
    command = [program, "-m", options.model, "-t", options.threads, "-fa", 1, "-ngl", 0, "-r", 1, "-o", "json", *shape]
    printed, complaints, used = run_counted(command)
    try:
        [entry] = json.loads(printed)
    except ValueError as problem:
        raise Mismatch(f"llama-bench did not print one result ({problem}): {printed[:500]}")
    asked = {
        "n_threads": options.threads,
        "n_prompt": prompt,
        "n_gen": generated,
        "n_depth": test["depth"],
        "flash_attn": 1,
        "backends": "CPU",
    }
    for key, value in asked.items():
        # Older versions write switches as true and false.
        if entry.get(key) != value:
            raise Mismatch(f"llama-bench ran {test['name']} with {key} {entry.get(key)!r} rather than {value!r}")
    check_cores("llama-bench", used, options.threads)
    return {
        "value": float(entry["avg_ts"]),
        **used,
        "commit": entry["build_commit"],
        "model_bytes": entry["model_size"],
        "amx_refused": AMX_REFUSED in complaints,
    }


def describe_build(program: str) -> dict:
    """Compiler and extensions of a build, from the CMake cache beside it; empty where there is none."""
    for folder in pathlib.Path(program).resolve().parents[:3]:
        cache = folder / "CMakeCache.txt"
        if cache.is_file():
            values = dict(re.findall(r"^([A-Z0-9_]+):[A-Z]+=(.*)$", cache.read_text(), re.MULTILINE))
            extensions = [
                switch.lower()
                for switch in ["NATIVE", "AVX2", "AVX_VNNI", *FURTHER_SWITCHES]
                if values.get(f"GGML_{switch}") == "ON"
            ]
            compiler = pathlib.Path(values.get("CMAKE_CXX_COMPILER", "unknown")).name
            return {"compiler": compiler, "extensions": extensions}
    return {"compiler": "unknown", "extensions": None}


def print_missing_extensions(program: str) -> None:
    """Says so if the build leaves out an extension that the machine has: that peer could be faster."""
    flags, built = processor()["flags"], describe_build(program)["extensions"]
    if built is None or "native" in built:
        return
    usable = [switch.lower() for switch, flag in FURTHER_SWITCHES.items() if flag in flags]
    missing = [switch for switch in usable if switch not in built]
    if missing:
        print(f"warning: {program} was built without {' '.join(missing)}, which this machine has")


def check_avx2_build(program: str) -> None:
    wider = {"native", "avx512", "amx_tile"} & set(describe_build(program)["extensions"] or [])
    if wider:
        raise Mismatch(f"{program} is meant to be limited to AVX2 and was built with {' '.join(sorted(wider))}")


def compare(options, program: str, isa: str | None) -> dict:
    """Every test in turns on both systems; medians, spreads, and ratios of ours to the peer's."""
    systems = {
        OURS: functools.partial(run_longtrainer, options, isa),
        PEER: functools.partial(run_llama_bench, options, program),
    }
    runs = {test["name"]: {name: [] for name in systems} for test in options.tests}
    for turn in range(options.rounds):
        for test in options.tests:
            for name in alternated(list(systems), turn):
                runs[test["name"]][name].append(systems[name](test))
        print(f"round {turn + 1} of {options.rounds} done", file=sys.stderr)
    last = {name: runs[options.tests[-1]["name"]][name][-1] for name in systems}
    peer = {key: last[PEER][key] for key in ("commit", "model_bytes", "amx_refused")}
    return {
        "isa": last[OURS]["isa"],
        "peer": {**peer, **describe_build(program)},
        "tests": [summarise(test, found) for test, found in runs.items()],
    }


def summarise(test: str, runs: dict) -> dict:
    ours, peer = ([run["value"] for run in runs[name]] for name in (OURS, PEER))
    return {
        "test": test,
        "unit": "tokens/s",
        "ours": summary(ours),
        "peer": summary(peer),
        "ratio": summary(ours)["median"] / summary(peer)["median"],
        # Of the two runs of each round, which met the same noise.
        "ratio_by_round": summary([a / b for a, b in zip(ours, peer)]),
        "cores_used": {name: max(run["cores_used"] for run in runs[name]) for name in runs},
        "runs": runs,
    }


def print_comparison(found: dict) -> None:
    peer = found["peer"]
    extensions = " ".join(peer["extensions"]) if peer["extensions"] else "extensions unknown"
    print()
    print(
        f"longtrainer with {found['isa']}; llama.cpp {peer['commit']} by {peer['compiler']} ({extensions}), "
        f"flash attention on, model of {peer['model_bytes'] / 1e6:.1f} MB"
    )
    if peer["amx_refused"]:
        print("note: this llama.cpp was compiled for AMX, which this machine lacks; it ran without")
    rows = [
        [
            test["test"],
            with_spread(test["ours"]),
            with_spread(test["peer"]),
            f"{test['ratio']:.2f}",
            f"{test['ratio_by_round']['min']:.2f}-{test['ratio_by_round']['max']:.2f}",
        ]
        for test in found["tests"]
    ]
    print_table(["test, tokens/s", "Longtrainer (min-max)", "llama.cpp (min-max)", "ratio", "ratio by round"], rows)
    cores = [max(test["cores_used"][name] for test in found["tests"]) for name in (OURS, PEER)]
    print(f"cores used at most: Longtrainer {number(cores[0])}, llama.cpp {number(cores[1])}")
    print_disturbance([run for test in found["tests"] for runs in test["runs"].values() for run in runs])


def fetch_source(folder: pathlib.Path) -> pathlib.Path:
    """llama.cpp's source tree, out of the Python package's source archive, with the build tools."""
    tools = folder / "tools"
    if not tools.exists():
        run([sys.executable, "-m", "venv", tools])
        run([tools / "bin/pip", "install", "-q", "scikit-build-core", "cmake", "ninja"])
    archives = lambda: sorted((folder / "archive").glob("*.tar.gz"))
    if not archives():
        download = ["download", "-q", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", PACKAGE]
        # pip asks the package for its metadata, which takes the tools of this environment.
        run([tools / "bin/pip", *download, "-d", folder / "archive"], tools)
    unpacked = folder / "source"
    if not unpacked.exists():
        with tarfile.open(archives()[-1]) as archive:
            archive.extractall(unpacked, filter="data")
    [source] = unpacked.glob("*/vendor/llama.cpp")
    return source


def find_clang() -> tuple[str, str]:
    """clang, the newest of those installed: what GCC 12 makes of the AMX code crashes."""
    for suffix in ["", *(f"-{version}" for version in range(30, 15, -1))]:
        c, cpp = shutil.which(f"clang{suffix}"), shutil.which(f"clang++{suffix}")
        if c and cpp:
            return c, cpp
    raise Mismatch("no clang was found; install one, of version 16 or later")


def run(command: list, tools: pathlib.Path | None = None) -> None:
    path = os.environ.get("PATH", "")
    environment = {**os.environ, "PATH": f"{tools / 'bin'}{os.pathsep}{path}" if tools else path}
    print("$", *command, file=sys.stderr)
    subprocess.run([str(part) for part in command], env=environment, stdout=sys.stderr, check=True)


def build(folder: pathlib.Path, jobs: int) -> None:
    """Both builds of llama.cpp, in `native` and `avx2` below the folder."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    source, (c, cpp), flags = fetch_source(folder), find_clang(), processor()["flags"]
    native = [f"{switch}=ON" for switch, flag in FURTHER_SWITCHES.items() if flag in flags]
    for name, further in {"native": native, "avx2": []}.items():
        switches = [f"-DGGML_{switch}" for switch in COMMON_SWITCHES + further]
        compilers = [f"-DCMAKE_C_COMPILER={c}", f"-DCMAKE_CXX_COMPILER={cpp}"]
        rest = ["-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=OFF", "-DLLAMA_CURL=OFF"]
        tools, target = folder / "tools", folder / name
        run([tools / "bin/cmake", "-G", "Ninja", "-S", source, "-B", target, *compilers, *rest, *switches], tools)
        run([tools / "bin/ninja", "-j", jobs, "-C", target, "llama-bench", "llama-perplexity"], tools)
        print(target / "bin/llama-bench")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, metavar="FOLDER", help="build llama.cpp there and stop")
    parser.add_argument("--jobs", type=int, default=processor()["cores"], help="compilers at once, for --build")
    parser.add_argument("--model", metavar="FILE.gguf")
    parser.add_argument("--longtrainer", metavar="PROGRAM")
    parser.add_argument("--llama-bench", metavar="PROGRAM")
    parser.add_argument("--llama-bench-avx2", metavar="PROGRAM", help="compare the AVX2 tiers as well")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tests", type=parse_tests, default=parse_tests(TESTS), metavar=TESTS)
    parser.add_argument("--json", metavar="OUT", help="also write everything measured there")
    options = parser.parse_args()
    if not options.build:
        for needed in ("model", "longtrainer", "llama_bench"):
            if not getattr(options, needed):
                parser.error(f"--{needed.replace('_', '-')} is needed, or --build")
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads start at 1")
    return options


def measure(options) -> None:
    machine, version = describe_machine(), longtrainer_version(options.longtrainer)
    print_machine(machine, options.threads)
    print(f"longtrainer: {version}")
    print_missing_extensions(options.llama_bench)
    pairs = [(options.llama_bench, None)]
    if options.llama_bench_avx2:
        check_avx2_build(options.llama_bench_avx2)
        pairs.append((options.llama_bench_avx2, "avx2"))
    comparisons = []
    for program, isa in pairs:
        comparisons.append(compare(options, program, isa))
        print_comparison(comparisons[-1])
    content = {
        "machine": machine,
        "threads": options.threads,
        "rounds": options.rounds,
        "model": pathlib.Path(options.model).name,
        "longtrainer": version,
        "comparisons": comparisons,
    }
    write_json(options.json, content)


def main() -> None:
    options = parse_options()
    try:
        build(options.build, options.jobs) if options.build else measure(options)
    except Mismatch as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()
