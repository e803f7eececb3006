"""Runs Longtrainer and other runtimes in turns on the vision half of SmolVLM-256M with the same threads.

    pip install torch transformers
    cargo build --release -p longtrainer-benches --bins
    python benches/peers/vision.py --vision target/release/vision --json vision.json

Weights are random (`scripts/reference/vision_tower.py` makes them), unless --checkpoint names a folder. A
frame of 512 x 512 goes through tower and connector, 214 GFLOP, once a sample and then 17 times, as the
frames of a large picture do. Every runtime's tokens are compared with PyTorch's in f32 before anything is
timed. Each lives in a process of its own, which waits on a pipe while another is timed; the order changes
each round. Seconds are of the clock; "core seconds" are what the process used of the cores, which a busy
machine changes less.

llama.cpp is run beside these if its multimodal tool is given: --mtmd llama-mtmd-cli --mtmd-text TEXT.gguf
--mtmd-mmproj MMPROJ.gguf --mtmd-image PICTURE. It says itself how long its encoding took; its peak memory
has the text model in it, mapped from its file. With a text model that lacks SmolVLM's control tokens it
stops once the picture is encoded, which is all that is asked of it. Its mmproj file is made of a
checkpoint by its own converter; with "longest_edge" 512 in the checkpoint's preprocessor_config.json a
picture of 512 x 512 is one frame.
"""

import argparse
import json
import math
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time

from side_by_side import (
    Mismatch,
    alternated,
    busy_seconds,
    describe_machine,
    print_machine,
    print_table,
    summary,
    with_spread,
    write_json,
)

REFERENCE = "PyTorch f32"
MANY = 17
SETTLE_SECONDS = 0.1
# A product in bytes is lossy by more than one in bf16.
LEAST_COSINE = {"int8": 0.98, "mixed": 0.99, "bf16": 0.99, "f32": 0.9999}


# --- PyTorch, inside its own process ----------------------------------------------------------


def pytorch_worker(options) -> None:
    """Answers the same requests as `benches/src/bin/vision.rs`."""
    import torch
    from safetensors.torch import load_file
    from transformers import Idefics3Config
    from transformers.models.idefics3.modeling_idefics3 import Idefics3Connector, Idefics3VisionTransformer

    torch.set_num_threads(options.threads)
    dtype = getattr(torch, options.worker)
    folder = pathlib.Path(options.checkpoint)
    config = Idefics3Config.from_pretrained(folder)
    config.vision_config._attn_implementation = "sdpa"
    tensors = load_file(folder / "model.safetensors")
    part = lambda prefix: {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}
    tower = Idefics3VisionTransformer(config.vision_config)
    tower.load_state_dict(part("model.vision_model."))
    connector = Idefics3Connector(config)
    connector.load_state_dict(part("model.connector."))
    tower, connector = tower.eval().to(dtype), connector.eval().to(dtype)
    del tensors
    size = config.vision_config.image_size
    values = bytearray(pathlib.Path(options.frame).read_bytes())
    frame = torch.frombuffer(values, dtype=torch.float32).reshape(1, 3, size, size).to(dtype)

    def encode():
        with torch.inference_mode():
            return connector(tower(frame).last_hidden_state)

    print(json.dumps({"isa": torch.backends.cpu.get_cpu_capability(), "memory": None}), flush=True)
    for line in sys.stdin:
        what, argument = line.strip().split(" ", 1)
        if what == "encode":
            started = time.perf_counter()
            for _ in range(int(argument)):
                encode()
            print(json.dumps({"seconds": time.perf_counter() - started}), flush=True)
        else:
            tokens = encode()[0].float().flatten().tolist()
            pathlib.Path(argument).write_bytes(struct.pack(f"<{len(tokens)}f", *tokens))
            print(json.dumps({"values": len(tokens)}), flush=True)


# --- The driver -------------------------------------------------------------------------------


class Worker:
    """A runtime in a process that answers requests."""

    def __init__(self, name: str, command: list, threads: int, isa: str | None = None):
        self.name = name
        limits = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        environment = {**os.environ, **limits, "HF_HUB_OFFLINE": "1"} | ({"LONGTRAINER_ISA": isa} if isa else {})
        self.process = subprocess.Popen(
            [str(part) for part in command],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.ready = self.read()
        if isa and self.ready["isa"] != isa:
            raise Mismatch(f"{name} runs {self.ready['isa']} rather than {isa}")

    def ask(self, request: str) -> dict:
        print(request, file=self.process.stdin, flush=True)
        return self.read()

    def read(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise Mismatch(f"{self.name} ended with status {self.process.wait()}")
        return json.loads(line)

    def sample(self, frames: int) -> dict:
        before, busy, started = self.core_seconds(), busy_seconds(), time.monotonic()
        seconds = self.ask(f"encode {frames}")["seconds"]
        used, wall = self.core_seconds() - before, time.monotonic() - started
        others = None if busy is None else max(0.0, (busy_seconds() - busy - used) / wall)
        return {"seconds": seconds / frames, "core_seconds": used / frames, "cores_used_by_others": others}

    def core_seconds(self) -> float:
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_bytes(self) -> int:
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024

    def tokens(self, scratch: pathlib.Path) -> list:
        file = scratch / "tokens.f32"
        count = self.ask(f"write {file}")["values"]
        return list(struct.unpack(f"<{count}f", file.read_bytes()))

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def made_up_checkpoint(folder: pathlib.Path) -> pathlib.Path:
    script = pathlib.Path(__file__).parents[2] / "scripts" / "reference" / "vision_tower.py"
    subprocess.run([sys.executable, script, "--checkpoint", folder, "--case", "256m"], check=True)
    return folder


def write_frame(checkpoint: pathlib.Path, file: pathlib.Path) -> None:
    """Smooth pixels in -1 .. 1, different everywhere."""
    size = json.loads((checkpoint / "config.json").read_text())["vision_config"]["image_size"]
    pixels = [
        math.sin(0.013 * x * (channel + 1)) * math.cos(0.017 * y + channel)
        for channel in range(3) for y in range(size) for x in range(size)
    ]
    file.write_bytes(struct.pack(f"<{len(pixels)}f", *pixels))


def start_workers(options, checkpoint: pathlib.Path, frame: pathlib.Path) -> dict:
    shared = ["--checkpoint", checkpoint, "--frame", frame, "--threads", options.threads]
    workers = {}
    for dtype, short in [("float32", "f32"), ("bfloat16", "bf16")]:
        command = [sys.executable, __file__, "--worker", dtype, *shared]
        workers[f"PyTorch {short}"] = Worker(f"PyTorch {short}", command, options.threads)
    for isa in options.isa.split(",") if options.isa else [None]:
        for precision in options.precisions.split(","):
            name = f"Longtrainer {precision}" + (f" {isa}" if isa else "")
            command = [options.vision, *shared, "--precision", precision]
            workers[name] = Worker(name, command, options.threads, isa)
    return workers


def check_tokens(workers: dict, width: int, scratch: pathlib.Path) -> dict:
    """The least cosine of a token to PyTorch's in f32."""
    expected = workers[REFERENCE].tokens(scratch)
    least = {}
    for name, worker in workers.items():
        tokens = worker.tokens(scratch)
        rows = range(0, len(expected), width)
        least[name] = min(cosine(expected[row : row + width], tokens[row : row + width]) for row in rows)
        bound = next(bound for kind, bound in LEAST_COSINE.items() if kind in name)
        if not least[name] >= bound:
            raise Mismatch(f"{name}: a cosine of {least[name]:.5f} to f32; it computes something else")
    return least


def cosine(a: list, b: list) -> float:
    dot = sum(x * y for x, y in zip(a, b))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def in_turns(workers: dict, rounds: int, frames: int) -> dict:
    runs = {name: [] for name in workers}
    for turn in range(rounds):
        for name in alternated(list(workers), turn):
            time.sleep(SETTLE_SECONDS)
            runs[name].append(workers[name].sample(frames))
    return runs


def mtmd(options) -> dict | None:
    """llama.cpp's own figure for one frame, and the peak memory of its process."""
    if not options.mtmd:
        return None
    command = [options.mtmd, "-m", options.mtmd_text, "--mmproj", options.mtmd_mmproj, "--image", options.mtmd_image,
               "-p", "What is this?", "-n", "1", "-t", str(options.threads), "--temp", "0"]
    seconds, peak = [], 0
    for _ in range(options.rounds):
        done = subprocess.run(["/usr/bin/env", "time", "-v", *command], capture_output=True, text=True)
        said = done.stdout + done.stderr
        found = re.findall(r"encod(?:ed|ing done) in (\d+) ms", said)
        if not found:
            raise Mismatch(f"llama.cpp did not say how long it took:\n{said[-800:]}")
        seconds.append(int(found[0]) / 1000)
        kilobytes = re.search(r"Maximum resident set size \(kbytes\): (\d+)", said)
        peak = max(peak, int(kilobytes.group(1)) * 1024 if kilobytes else 0)
    return {"seconds": summary(seconds), "peak_bytes": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vision", default="target/release/vision", help="Longtrainer's worker")
    parser.add_argument("--checkpoint", help="folder of an Idefics3 or SmolVLM; default: random weights")
    parser.add_argument("--precisions", default="bf16,mixed,int8", help="Longtrainer's, of f32, bf16, mixed, int8")
    parser.add_argument("--isa", help="Longtrainer's instruction tiers, of scalar, avx2, avx512, amx; default: the best")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", help="write all samples here")
    for name in ["mtmd", "mtmd-text", "mtmd-mmproj", "mtmd-image"]:
        parser.add_argument(f"--{name}", help="see above")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--frame", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return pytorch_worker(options)
    try:
        compare(options)
    except Mismatch as problem:
        raise SystemExit(str(problem))


def compare(options) -> None:
    machine = describe_machine()
    print_machine(machine, options.threads)
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        checkpoint = pathlib.Path(options.checkpoint) if options.checkpoint else made_up_checkpoint(scratch / "model")
        write_frame(checkpoint, scratch / "frame.f32")
        width = json.loads((checkpoint / "config.json").read_text())["text_config"]["hidden_size"]
        workers = start_workers(options, checkpoint, scratch / "frame.f32")
        try:
            least = check_tokens(workers, width, scratch)
            single = in_turns(workers, options.rounds, 1)
            peaks = {name: worker.peak_bytes() for name, worker in workers.items()}
            many = in_turns(workers, max(1, options.rounds // 3), MANY)
        finally:
            for worker in workers.values():
                worker.close()
    report(options, machine, workers, least, single, peaks, many)


def report(options, machine, workers, least, single, peaks, many) -> None:
    median = lambda runs, key: summary([run[key] for run in runs])["median"]
    baseline = "PyTorch bf16"
    rows, systems = [], {}
    for name in workers:
        samples = single[name]
        seconds = summary([run["seconds"] for run in samples])
        by_round = summary([a["seconds"] / b["seconds"] for a, b in zip(single[baseline], samples)])
        by_core = median(single[baseline], "core_seconds") / max(median(samples, "core_seconds"), 1e-9)
        ratio_many = median(many[name], "seconds") / seconds["median"]
        systems[name] = {
            "isa": workers[name].ready["isa"], "least_cosine": least[name], "peak_bytes": peaks[name],
            "seconds": seconds, "core_seconds": summary([run["core_seconds"] for run in samples]),
            "times_pytorch_bf16": by_round, "times_pytorch_bf16_by_core_seconds": by_core,
            "seconds_a_frame_of_17": summary([run["seconds"] for run in many[name]]), "of_17_to_single": ratio_many,
            "cores_used_by_others": [run["cores_used_by_others"] for run in samples],
        }
        rows.append([
            name, systems[name]["isa"], with_spread(seconds), f"{systems[name]['core_seconds']['median']:.2f}",
            with_spread(by_round), f"{by_core:.2f}", f"{ratio_many:.2f}", f"{peaks[name] / 2**20:,.0f}",
            f"{least[name]:.5f}",
        ])
    llama = mtmd(options)
    if llama:
        rows.append(["llama.cpp", "", with_spread(llama["seconds"]), "", "", "", "",
                     f"{llama['peak_bytes'] / 2**20:,.0f}", ""])
    print_table(["system", "tier", "s a frame", "core s", f"times {baseline}", "by core s", f"{MANY} frames / {MANY}",
                 "peak MiB", "least cosine"], rows)
    write_json(options.json, {"machine": machine, "threads": options.threads, "systems": systems, "llama.cpp": llama})


if __name__ == "__main__":
    main()
