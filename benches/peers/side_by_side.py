"""What the side-by-side runs share: describing the machine, calling `longtrainer bench`, medians, tables.

Standard library only, so that the llama.cpp script runs without any package installed.
"""

import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import time

# Work outside the thread team (reading the file, the main thread beside the workers) is small; a
# process that used more than this many cores beyond its threads did not run as it was asked to.
CORES_TOLERANCE = 0.2

# What other processes may use of the cores before a sample counts as disturbed.
DISTURBANCE = 0.15

VECTOR_EXTENSIONS = ["avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"]


class Mismatch(Exception):
    """The two systems did not run under the same conditions, or did not say what they ran."""


def processor() -> dict:
    """The processor's name and vector extensions, as Linux tells them."""
    fields = {}
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    except OSError:
        pass
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    return {
        "name": fields.get("model name", platform.processor() or platform.machine()),
        "family": f"{fields.get('cpu family', '?')}/{fields.get('model', '?')}",
        "cores": usable_cores(),
        "extensions": [name for name in VECTOR_EXTENSIONS if name in flags],
        "flags": flags,
    }


def usable_cores() -> int:
    """The cores this process may run on, fewer than the machine's inside many containers."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_machine() -> dict:
    found = processor()
    found.pop("flags")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {**found, "system": f"{platform.system()} {platform.release()}", "load_at_start": load}


def print_machine(machine: dict, threads: int) -> None:
    print(
        f"machine: {machine['name']} (family/model {machine['family']}), {machine['cores']} cores usable, "
        f"{' '.join(machine['extensions']) or 'no vector extension known'}, {machine['system']}"
    )
    print(f"threads: {threads}")
    load = machine["load_at_start"]
    if load is not None and load > 0.5:
        print(f"warning: the load was {load:.1f} before the first run; something else is using the cores")


class Meter:
    """Cores used over a stretch of time: by what is measured, and by everything else on the machine."""

    def __init__(self, own_seconds):
        self.own_seconds = own_seconds
        self.own, self.all, self.started = own_seconds(), busy_seconds(), time.monotonic()

    def stop(self) -> dict:
        wall = max(time.monotonic() - self.started, 1e-9)
        own, everything = self.own_seconds() - self.own, busy_seconds()
        others = None if everything is None else max(0.0, (everything - self.all - own) / wall)
        return {"seconds": wall, "cores_used": own / wall, "cores_used_by_others": others}


def busy_seconds() -> float | None:
    """What all cores have worked since the start; None where that is not told of just these cores."""
    if usable_cores() != os.cpu_count():
        return None
    try:
        fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen = map(int, fields[:8])
    ticks = user + nice + system + interrupts + soft_interrupts + stolen
    return ticks / os.sysconf("SC_CLK_TCK")


def children_seconds() -> float:
    """The processor time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def process_seconds(process: int) -> float:
    """The processor time of a process so far; of a process that is gone, an error of the system's."""
    stat = pathlib.Path(f"/proc/{process}/stat").read_text()
    user, system = map(int, stat.rpartition(")")[2].split()[11:13])
    return (user + system) / os.sysconf("SC_CLK_TCK")


def run_counted(command: list, environment: dict | None = None) -> tuple[str, str, dict]:
    """Runs a program to its end: what it printed, what it complained of, and the cores it used."""
    meter = Meter(children_seconds)
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
    )
    used = meter.stop()
    if done.returncode != 0:
        last = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise Mismatch(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{last}")
    return done.stdout, done.stderr, used


def check_cores(who: str, used: dict, threads: int) -> None:
    """A system that used more cores than its threads was not held to the same count."""
    cores = used["cores_used"]
    if cores > threads + CORES_TOLERANCE:
        raise Mismatch(f"{who} was told to use {threads} threads and used {cores:.2f} cores")


def print_disturbance(samples: list) -> None:
    """Says so if other processes took cores away while something was measured."""
    others = [sample["cores_used_by_others"] for sample in samples if sample["cores_used_by_others"] is not None]
    disturbed = sum(cores > DISTURBANCE for cores in others)
    if disturbed:
        print(
            f"warning: other processes used more than {DISTURBANCE} cores in {disturbed} of {len(others)} samples, "
            f"{max(others):.1f} at most; measure again on a quiet machine"
        )


def longtrainer_version(program: str) -> str:
    """What the program says of itself, and the commit that this script was checked out at."""
    version = run_counted([program, "--version"])[0].strip()
    folder = pathlib.Path(__file__).parent
    git = ["git", "-C", str(folder)]
    try:
        commit = subprocess.run(git + ["rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run(git + ["status", "--porcelain"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return version
    return f"{version} (commit {commit.stdout.strip()}{', with changes' if changed.stdout.strip() else ''})"


def longtrainer_bench(program: str, arguments: list, test: str, threads: int, isa: str | None) -> dict:
    """One test of `longtrainer bench`, once, refused unless it ran as it was asked to."""
    command = [program, "bench", *arguments, "--threads", threads, "--repeat", 1, "--json"]
    environment = {"LONGTRAINER_ISA": isa} if isa else None
    printed, _, used = run_counted(command, environment)
    try:
        found = [entry for entry in json.loads(printed) if entry["test"] == test]
        [entry] = found
        value, ran_threads, ran_isa = float(entry["value"]), int(entry["threads"]), entry["isa"]
        device = str(entry["device"])
    except (ValueError, KeyError, TypeError) as problem:
        raise Mismatch(f"longtrainer bench did not print one object for {test} ({problem}): {printed[:500]}")
    if ran_threads != threads:
        raise Mismatch(f"longtrainer ran {test} with {ran_threads} threads rather than {threads}")
    if isa and ran_isa != isa:
        raise Mismatch(f"longtrainer ran {test} with {ran_isa} although LONGTRAINER_ISA={isa} was set")
    if not device.lower().startswith("cpu"):
        raise Mismatch(f"longtrainer ran {test} on {device}; these comparisons are of processors")
    if value <= 0:
        raise Mismatch(f"longtrainer gave {value} for {test}")
    check_cores("longtrainer", used, threads)
    return {"value": value, "unit": entry.get("unit"), "isa": ran_isa, "device": device, **used}


def summary(values: list) -> dict:
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "values": values,
    }


def with_spread(found: dict) -> str:
    return f"{number(found['median'])} ({number(found['min'])}-{number(found['max'])})"


def number(value: float) -> str:
    """Three or four digits that mean something: 2,134, 812, 96.1, 7.85."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def alternated(systems: list, turn: int) -> list:
    """The order of one round: every round starts with the next system, so that none is always first."""
    shift = turn % len(systems)
    return systems[shift:] + systems[:shift]


def print_table(headings: list, rows: list) -> None:
    """A Markdown table, whose columns also line up in a terminal."""
    widths = [max(len(str(row[column])) for row in [headings, *rows]) for column in range(len(headings))]
    line = lambda row: "| " + " | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)) + " |"
    print(line(headings))
    print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    for row in rows:
        print(line(row))


def write_json(path: str | None, content: dict) -> None:
    if path:
        pathlib.Path(path).write_text(json.dumps(content, indent=1) + "\n")
