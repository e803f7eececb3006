"""Runs Longtrainer and other runtimes in turns on the same encoder with the same threads.

    pip install torch transformers sentence-transformers onnx onnxruntime
    python benches/peers/encoders.py --model MODEL_FOLDER --longtrainer target/release/longtrainer \\
        --squad squad_sample.json

The model is a sentence-transformers folder. Shapes are batch x tokens with exactly that many tokens
in every row, so nothing is padding. Every runtime gives pooled vectors of length 1, and its vectors
are compared with PyTorch's in f32 before anything is timed. Then the paragraphs of a file in SQuAD's
layout are encoded, tokenising included.

Every runtime lives in a process of its own, which waits on a pipe while another is timed. The
figures are medians over rounds, whose order changes each round.
"""

import argparse
import contextlib
import hashlib
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings

from side_by_side import (
    Meter,
    Mismatch,
    alternated,
    check_cores,
    describe_machine,
    longtrainer_bench,
    longtrainer_version,
    print_disturbance,
    print_machine,
    print_table,
    summary,
    with_spread,
    write_json,
)

SHAPES = "1x16,1x128,32x128,32x256"
TEXTS = "texts"
OURS = "Longtrainer"
REFERENCE = "PyTorch f32"

# One sample lasts at least so long, so that a single interruption does not decide it.
SAMPLE_SECONDS = 0.6
WARM_UP_SECONDS = 0.2
# Thread pools spin for a while after their last job; the next system waits for that to end.
SETTLE_SECONDS = 0.1

# Below these a runtime computes something else. Dynamic int8 is lossy: it is held to less and shown
# as a row of its own.
LEAST_COSINE = {"int8": 0.97, "bf16": 0.999, "f32": 0.9999}


# --- The runtimes, each inside its own process -----------------------------------------------


class Pooled:
    """A transformers encoder with the folder's pooling on top, as one PyTorch module."""

    @staticmethod
    def load(folder: pathlib.Path, attention: str):
        import torch
        from transformers import AutoModel

        pooling = read_pooling(folder)

        class Module(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.encoder = AutoModel.from_pretrained(
                    folder, attn_implementation=attention, dtype=torch.float32
                ).eval()

            def forward(self, ids, mask):
                hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
                if pooling == "cls":
                    vector = hidden[:, 0]
                else:
                    weights = mask.unsqueeze(-1).to(hidden.dtype)
                    vector = (hidden * weights).sum(1) / weights.sum(1)
                return torch.nn.functional.normalize(vector, dim=-1)

        return Module().eval()


def read_pooling(folder: pathlib.Path) -> str:
    """`mean` or `cls`, read as sentence-transformers 5 and earlier, or 6, write it."""
    for module in json.loads((folder / "modules.json").read_text()):
        if module["type"].endswith("Pooling"):
            config = json.loads((folder / module["path"] / "config.json").read_text())
            mode = config.get("pooling_mode")
            if mode is None:
                modes = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
                mode = next((name for key, name in modes.items() if config.get(key)), "another one")
            if mode in ("mean", "cls"):
                return mode
            raise SystemExit(f"{folder}: pooling by {mode} is not known here")
    raise SystemExit(f"{folder}: modules.json has no pooling")


class PyTorch:
    def __init__(self, folder: pathlib.Path, kind: str):
        import torch

        self.model = Pooled.load(folder, "sdpa")
        self.context = contextlib.nullcontext
        if kind == "bf16 weights":
            self.model = self.model.bfloat16()
        if kind == "bf16 autocast":
            self.context = lambda: torch.autocast("cpu", dtype=torch.bfloat16)

    def prepare(self, rows: list):
        import torch

        ids = torch.tensor(rows)
        return ids, torch.ones_like(ids)

    def run(self, prepared):
        with self.context():
            return self.model(*prepared)


class OnnxRuntime:
    def __init__(self, folder: pathlib.Path, kind: str, threads: int):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        file = exported(folder, kind)
        self.session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def prepare(self, rows: list):
        import numpy

        ids = numpy.array(rows, dtype=numpy.int64)
        return {"ids": ids, "mask": numpy.ones_like(ids)}

    def run(self, prepared):
        return self.session.run(["vector"], prepared)[0]


class SentenceTransformers:
    """The library as it is used; at exact shapes its `forward`, for texts its `encode`."""

    def __init__(self, folder: pathlib.Path, kind: str):
        import torch
        from sentence_transformers import SentenceTransformer

        self.model = SentenceTransformer(str(folder), device="cpu").eval()
        self.context = contextlib.nullcontext
        if kind == "bf16 weights":
            self.model = self.model.bfloat16()
        if kind == "bf16 autocast":
            self.context = lambda: torch.autocast("cpu", dtype=torch.bfloat16)

    def prepare(self, rows: list):
        import torch

        ids = torch.tensor(rows)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    def run(self, prepared):
        with self.context():
            # A copy, since the modules add their results to what they are given.
            return self.model(dict(prepared))["sentence_embedding"]

    def encode(self, texts: list):
        with self.context():
            return self.model.encode(
                texts, batch_size=32, normalize_embeddings=True, convert_to_tensor=True, show_progress_bar=False
            )


PEERS = {
    REFERENCE: lambda folder, threads: PyTorch(folder, "f32"),
    "PyTorch bf16 (autocast)": lambda folder, threads: PyTorch(folder, "bf16 autocast"),
    "PyTorch bf16 (weights)": lambda folder, threads: PyTorch(folder, "bf16 weights"),
    "ONNX Runtime f32": lambda folder, threads: OnnxRuntime(folder, "f32", threads),
    "ONNX Runtime int8 (dynamic)": lambda folder, threads: OnnxRuntime(folder, "int8", threads),
    "sentence-transformers f32": lambda folder, threads: SentenceTransformers(folder, "f32"),
    "sentence-transformers bf16 (autocast)": lambda folder, threads: SentenceTransformers(folder, "bf16 autocast"),
    "sentence-transformers bf16 (weights)": lambda folder, threads: SentenceTransformers(folder, "bf16 weights"),
}
# At exact shapes bf16 of this library is PyTorch's bf16 with a layer on top, which has rows already.
AT_SHAPES = [name for name in PEERS if not name.startswith("sentence-transformers bf16")]
ON_TEXTS = [name for name in PEERS if name.startswith("sentence-transformers")]


def exported(folder: pathlib.Path, kind: str) -> pathlib.Path:
    """The model as an ONNX file, written once to a cache and found again by the weights' size and date.

    With attention written out step by step: ONNX Runtime fuses what it knows when it loads the file,
    and was faster on this form than on exported scaled-dot-product attention.
    """
    weights = (folder / "model.safetensors").stat()
    key = f"{folder.resolve()} {weights.st_size} {weights.st_mtime_ns}"
    cache = pathlib.Path(tempfile.gettempdir()) / "longtrainer-peers"
    cache.mkdir(exist_ok=True)
    plain = cache / f"{folder.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.onnx"
    if not plain.exists():
        export(folder, plain)
    if kind == "f32":
        return plain
    quantised = plain.with_suffix(".int8.onnx")
    if not quantised.exists():
        from onnxruntime.quantization import QuantType, quantize_dynamic

        # Signed weights: unsigned activations times signed weights is what VNNI multiplies. A scale for
        # every channel costs no speed here and leaves a tenth of the error.
        partial = quantised.with_suffix(".partial")
        quantize_dynamic(plain, partial, weight_type=QuantType.QInt8, per_channel=True)
        partial.replace(quantised)
    return quantised


def export(folder: pathlib.Path, file: pathlib.Path) -> None:
    import torch

    ids = torch.full((2, 16), 1000)
    batch_and_tokens = {0: "batch", 1: "tokens"}
    partial = file.with_suffix(".partial")
    # The older exporter, because the newer one needs a further package.
    torch.onnx.export(
        Pooled.load(folder, "eager"),
        (ids, torch.ones_like(ids)),
        str(partial),
        input_names=["ids", "mask"],
        output_names=["vector"],
        dynamic_axes={"ids": batch_and_tokens, "mask": batch_and_tokens},
        opset_version=17,
        dynamo=False,
    )
    partial.replace(file)


def timed(work, items: int) -> dict:
    """Items a second of repeated work that takes at least a sample's time, warmed up before."""
    started, runs = time.monotonic(), 0
    while runs < 2 or time.monotonic() - started < WARM_UP_SECONDS:
        last = time.monotonic()
        work()
        runs += 1
        # A job that takes as long as a sample is warm after one run.
        if time.monotonic() - started > SAMPLE_SECONDS:
            break
    repeats = max(1, math.ceil(SAMPLE_SECONDS / max(time.monotonic() - last, 1e-6)))
    meter = Meter(time.process_time)
    for _ in range(repeats):
        work()
    used = meter.stop()
    return {"value": items * repeats / used["seconds"], **used}


def work_as(name: str, folder: pathlib.Path, threads: int) -> None:
    """The loop of one peer's process: a request and an answer a line, until the pipe closes."""
    answers = os.fdopen(os.dup(1), "w")
    # Libraries print to the standard output too; that must not get between the answers.
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    answer = lambda content: print(json.dumps(content), file=answers, flush=True)
    with torch.inference_mode():
        peer = PEERS[name](folder, threads)
        answer({"ready": name, "threads": torch.get_num_threads()})
        for line in sys.stdin:
            request = json.loads(line)
            if request["do"] == "vectors":
                vectors = torch.as_tensor(peer.run(peer.prepare(request["rows"])))
                answer(vectors.float().tolist())
            elif request["do"] == "shape":
                prepared = peer.prepare(request["rows"])
                answer(timed(lambda: peer.run(prepared), len(request["rows"])))
            else:
                answer(timed(lambda: peer.encode(request["texts"]), len(request["texts"])))


# --- The comparison --------------------------------------------------------------------------


class Worker:
    """A peer's process."""

    def __init__(self, name: str, options):
        self.name, self.threads = name, options.threads
        count = str(options.threads)
        # Read when the libraries load: OpenMP's threads, and those of the tokeniser.
        limits = {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "RAYON_NUM_THREADS": count}
        offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", name, "--model", options.model, "--threads", count],
            env={**os.environ, **limits, **offline},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if options.verbose else subprocess.DEVNULL,
            text=True,
        )

    def wait_until_ready(self) -> None:
        ready = self.read()
        if ready["threads"] != self.threads:
            raise Mismatch(f"{self.name} runs {ready['threads']} threads rather than {self.threads}")

    def ask(self, **request):
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise Mismatch(f"{self.name} ended with status {self.process.wait()}; --verbose shows why")
        return json.loads(line)

    def measure(self, **request) -> dict:
        found = self.ask(**request)
        check_cores(self.name, found, self.threads)
        return found

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def rows_of(shape: str, folder: pathlib.Path) -> list:
    """A batch of exactly so many tokens a row, the first and last those that the model expects."""
    from transformers import AutoTokenizer

    batch, tokens = map(int, shape.split("x"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    special = set(tokenizer.all_special_ids)
    ordinary = [token for token in range(len(tokenizer)) if token not in special]
    first, last = tokenizer.cls_token_id, tokenizer.sep_token_id
    # Any words will do, spread over the vocabulary and different in every row.
    word = lambda row, column: ordinary[(row * 7919 + column * 104729 + 12345) % len(ordinary)]
    return [[first, *(word(row, column) for column in range(tokens - 2)), last] for row in range(batch)]


def paragraphs(squad: str) -> list:
    """The paragraphs of a file in SQuAD's layout, each once."""
    articles = json.loads(pathlib.Path(squad).read_text())["data"]
    return list(dict.fromkeys(paragraph["context"] for article in articles for paragraph in article["paragraphs"]))


def cosine(a: list, b: list) -> float:
    dot = sum(x * y for x, y in zip(a, b))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def check_vectors(workers: dict, folder: pathlib.Path) -> dict:
    """The least cosine of each peer's vectors to the f32 reference: that it computes this model."""
    rows = rows_of("4x64", folder)
    expected = workers[REFERENCE].ask(do="vectors", rows=rows)
    least = {}
    for name, worker in workers.items():
        vectors = worker.ask(do="vectors", rows=rows)
        least[name] = min(cosine(*pair) for pair in zip(expected, vectors))
        bound = next(bound for kind, bound in LEAST_COSINE.items() if kind in name)
        if least[name] < bound:
            raise Mismatch(f"{name}: a cosine of {least[name]:.5f} to f32; it computes something else")
    return least


def in_turns(systems: dict, rounds: int, label: str) -> dict:
    """Every system once a round; all their samples."""
    runs = {name: [] for name in systems}
    for turn in range(rounds):
        for name in alternated(list(systems), turn):
            time.sleep(SETTLE_SECONDS)
            runs[name].append(systems[name]())
    print(f"{label} done", file=sys.stderr)
    return runs


def measure_shape(options, workers: dict, shape: str) -> dict:
    rows = rows_of(shape, pathlib.Path(options.model))
    arguments = ["embeddings", "--model-folder", options.model, "--tests", shape]
    systems = {OURS: lambda: longtrainer_bench(options.longtrainer, arguments, shape, options.threads, None)}
    for name in AT_SHAPES:
        systems[name] = lambda worker=workers[name]: worker.measure(do="shape", rows=rows)
    return summarise(shape, "sequences/s", in_turns(systems, options.rounds, shape))


def measure_texts(options, workers: dict, texts: list) -> dict:
    with tempfile.TemporaryDirectory() as scratch:
        file = pathlib.Path(scratch) / "texts.json"
        file.write_text(json.dumps(texts))
        arguments = ["embeddings", "--model-folder", options.model, "--texts", file]
        systems = {OURS: lambda: longtrainer_bench(options.longtrainer, arguments, TEXTS, options.threads, None)}
        for name in ON_TEXTS:
            systems[name] = lambda worker=workers[name]: worker.measure(do="texts", texts=texts)
        return summarise(TEXTS, "texts/s", in_turns(systems, options.rounds, f"{len(texts)} texts"))


def summarise(test: str, unit: str, runs: dict) -> dict:
    systems = {name: summary([run["value"] for run in samples]) for name, samples in runs.items()}
    peers = [name for name in systems if name != OURS]
    best = max(peers, key=lambda name: systems[name]["median"])
    # int8 changes the vectors by far more than bf16 does, so the best without it is told as well.
    exact = max((name for name in peers if "int8" not in name), key=lambda name: systems[name]["median"])
    ours = systems[OURS]["median"]
    return {
        "test": test,
        "unit": unit,
        "isa": runs[OURS][0]["isa"],
        "systems": systems,
        "best_peer": best,
        "ratio": ours / systems[best]["median"],
        "best_peer_in_f32_or_bf16": exact,
        "ratio_in_f32_or_bf16": ours / systems[exact]["median"],
        "ratio_by_round": summary([a / b for a, b in zip(systems[OURS]["values"], systems[best]["values"])]),
        "cores_used": {name: max(run["cores_used"] for run in samples) for name, samples in runs.items()},
        "runs": runs,
    }


def print_results(tests: list, cosines: dict) -> None:
    exactness = {name: f"{least:.5f}" for name, least in cosines.items()}
    for names, chosen in ((AT_SHAPES, tests[:-1]), (ON_TEXTS, tests[-1:])):
        if not chosen:
            continue
        headings = ["median (min-max)", *(f"{test['test']}, {test['unit']}" for test in chosen), "least cosine to f32"]
        rows = [
            [name, *(with_spread(test["systems"][name]) for test in chosen), exactness.get(name, "")]
            for name in [OURS, *names]
        ]
        print()
        print_table(headings, rows)
    print()
    rows = [
        [
            test["test"],
            test["best_peer_in_f32_or_bf16"],
            f"{test['ratio_in_f32_or_bf16']:.2f}",
            test["best_peer"],
            f"{test['ratio']:.2f}",
            f"{test['ratio_by_round']['min']:.2f}-{test['ratio_by_round']['max']:.2f}",
        ]
        for test in tests
    ]
    print_table(["test", "best peer in f32 or bf16", "ratio", "best peer of all", "ratio", "ratio by round"], rows)
    used = max(value for test in tests for value in test["cores_used"].values())
    print(f"Longtrainer ran with {tests[0]['isa']}; no system used more than {used:.2f} cores")
    print_disturbance([run for test in tests for runs in test["runs"].values() for run in runs])


def versions() -> dict:
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "transformers", "sentence-transformers", "onnxruntime")}


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, metavar="FOLDER")
    parser.add_argument("--longtrainer", metavar="PROGRAM")
    parser.add_argument("--squad", metavar="FILE.json")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shapes", default=SHAPES)
    parser.add_argument("--json", metavar="OUT", help="also write everything measured there")
    parser.add_argument("--verbose", action="store_true", help="show what the peers complain of")
    parser.add_argument("--worker", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.worker and not (options.longtrainer and options.squad):
        parser.error("--longtrainer and --squad are needed")
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads start at 1")
    return options


def measure(options) -> None:
    # Before the workers, whose start loads the machine.
    machine, version = describe_machine(), longtrainer_version(options.longtrainer)
    workers = {}
    try:
        # One after another, so that the first does not export the model while another does.
        for name in PEERS:
            workers[name] = Worker(name, options)
            workers[name].wait_until_ready()
        print_machine(machine, options.threads)
        print(f"longtrainer: {version}")
        print("peers: " + ", ".join(f"{name} {number}" for name, number in versions().items()))
        cosines = check_vectors(workers, pathlib.Path(options.model))
        tests = [measure_shape(options, workers, shape) for shape in options.shapes.split(",")]
        tests.append(measure_texts(options, workers, paragraphs(options.squad)))
    finally:
        for worker in workers.values():
            worker.close()
    print_results(tests, cosines)
    content = {
        "machine": machine,
        "threads": options.threads,
        "rounds": options.rounds,
        "model": pathlib.Path(options.model).name,
        "longtrainer": version,
        "peers": versions(),
        "least_cosine_to_f32": cosines,
        "tests": tests,
    }
    write_json(options.json, content)


def main() -> None:
    options = parse_options()
    if options.worker:
        work_as(options.worker, pathlib.Path(options.model), options.threads)
        return
    try:
        measure(options)
    except Mismatch as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()
