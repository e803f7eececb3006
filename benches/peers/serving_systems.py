"""The systems of the serving comparison: how each is started, asked and stopped."""

import asyncio
import dataclasses
import re
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from serving_client import ask_all
from side_by_side import Meter, Mismatch, check_cores, process_seconds

SLOTS = 8
# Of llama-server, for each of its slots: more than the longest chat of the scenarios.
SLOT_CONTEXT = 4096
START_PATIENCE = 120

# Stands for a fresh folder in a command; it is gone when the system is stopped.
FOLDER = object()

# llama.cpp's way of guessing tokens from the text so far, as `--help` names it; the rest is its default.
NGRAM = ["--spec-type", "ngram-simple"]


@dataclasses.dataclass
class System:
    """A server and the scenarios that it takes part in."""

    name: str
    command: list
    # What it needs in each request to be greedy and quick about it.
    request: dict
    scenarios: list


def real_server(options, greedy: dict) -> list:
    """The server that people run, with documents and store, on all cores: it has no flag for fewer."""
    if not options.serve:
        return []
    command = [options.serve, "--offline", "--warm", "--data-dir", FOLDER, "--text-model", options.model]
    # The bare engine has nothing against repetition, either.
    request = {"model": options.model, "repetition_penalty": 1.0}
    request |= {name: greedy[name] for name in ("temperature", "stream", "stream_options")}
    return [System("longtrainer serve", command, request, ["chats", "follow_up", "rag", "alone"])]


def systems(options) -> list:
    """Every system that can be compared, ours first."""
    ours = [options.serving, "serve", "--model-file", options.model, "--threads", options.threads]
    # Greedy by keeping one candidate, before anything sorts the vocabulary.
    greedy = {
        "temperature": 0,
        "top_k": 1,
        "samplers": ["top_k", "temperature"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    peer = [options.llama_server, "-m", options.model, "-t", options.threads, "-tb", options.threads]
    peer += ["-np", SLOTS, "-c", SLOTS * SLOT_CONTEXT, "--cache-reuse", 256, "-fa", "on", "-ngl", 0, "--no-ui"]
    peer += options.llama_server_flags.split()
    return [
        System("longtrainer", ours, {}, ["chats", "follow_up", "rag", "alone"]),
        *real_server(options, greedy),
        System("longtrainer, no guessing", [*ours, "--speculation", "false"], {}, ["chats", "rag", "alone"]),
        System("llama-server", peer, greedy, ["chats", "follow_up", "rag", "alone"]),
        System("llama-server, n-grams", [*peer, *NGRAM], greedy, ["rag"]),
    ]


class Running:
    """A system at work; stopped at the end of the `with` block."""

    def __init__(self, system: System, threads: int):
        self.system, self.threads, self.port = system, threads, free_port()

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        parts = [self.folder.name if part is FOLDER else part for part in self.system.command]
        self.command = [str(part) for part in [*parts, "--port", self.port]]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=subprocess.STDOUT)
        try:
            self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_PATIENCE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Mismatch(f"{self.system.name} ended at its start:\n{self.last_lines()}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise Mismatch(f"{self.system.name} was not ready after {START_PATIENCE} seconds:\n{self.last_lines()}")

    def last_lines(self) -> str:
        self.log.seek(0)
        return "\n".join(self.log.read().decode(errors="replace").splitlines()[-8:])

    def ask_all(self, bodies: list) -> list:
        """Asks all at once, and refuses what could not be compared."""
        own = self.cpu_seconds()
        started = time.monotonic()
        answers = asyncio.run(ask_all(self.port, [{**self.system.request, **body} for body in bodies]))
        wall = time.monotonic() - started
        # Processor time is told in hundredths of a second, too coarse for the shortest of requests.
        if wall > 0.5:
            check_cores(self.system.name, {"cores_used": (self.cpu_seconds() - own) / wall}, self.threads)
        return answers

    def cpu_seconds(self) -> float:
        """The processor time of the server so far."""
        try:
            return process_seconds(self.process.pid)
        except OSError as problem:
            raise Mismatch(f"{self.system.name} is gone: {problem}\n{self.last_lines()}")

    def meter(self) -> Meter:
        """Cores used by the server and this client together, and by everything else."""
        return Meter(lambda: self.cpu_seconds() + time.process_time())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def llama_server_version(program: str) -> str:
    """What `--version` says: build number, commit and compiler."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True)
    lines = (said.stdout + said.stderr).splitlines()
    told = [line.strip() for line in lines if re.match(r"\s*(version|built with)", line)]
    return ", ".join(told) or "unknown"
