"""Measures how far a GGUF text model's probabilities, as Longtrainer computes them, are from f32.

    pip install torch transformers gguf accelerate numpy
    cargo build --release -p longtrainer-inference --example perplexity
    python scripts/reference/perplexity.py MODEL.gguf TEXT.txt --ours target/release/examples/perplexity

The reference is transformers with the GGUF dequantised to f32 on the CPU. All see the same tokens in
the same consecutive windows, each from an empty cache and with no token put before it. Two measures:
the mean Kullback-Leibler divergence of ours from the reference over the first positions of the text,
and the perplexity over all of it (every token of a window but the first is predicted).

For llama.cpp's perplexity llama-cpp-python is used if it is installed, on the same windows. Otherwise
`--llama-perplexity PROGRAM` runs llama.cpp's own program, which uses the same windows but counts only
the tokens of their second halves: ours and the reference's are then taken over those tokens as well
(ours if the example prints `perplexity_second_half`, else as its ratio to the reference over all
tokens). Its tokens are compared with ours, and its own divergence from the reference is measured.

Prints JSON; the exit status is 1 if a bound is missed.
"""

import argparse
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

LEAST_TOKENS = 20_000
LEAST_POSITIONS = 2_000
MOST_DIVERGENCE = 0.02
MOST_PERPLEXITY_CHANGE = 0.01

# Rows of log-probabilities in f16 sum to 1 within this; logits, or rows out of step, do not.
MOST_LOG_SUM = 0.01
# Rows of the vocabulary's size compared at once.
ROWS = 64


def tokenise(model: pathlib.Path, text: str, window: int, most: int | None) -> list:
    """The text's tokens without any added to them, cut to whole windows."""
    tokenizer = AutoTokenizer.from_pretrained(model.parent, gguf_file=model.name)
    tokens = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"][:most]
    return tokens[: len(tokens) // window * window]


def run_ours(options, tokens: list, scratch: pathlib.Path) -> tuple[dict, pathlib.Path]:
    """What the example prints, and the file of log-probabilities that it writes."""
    ids, rows = scratch / "tokens.json", scratch / "ours.bin"
    ids.write_text(json.dumps(tokens))
    command = [options.ours, options.model, ids, "--window", options.window, "--logits", rows]
    printed, _ = run([*command, "--positions", options.positions])
    return json.loads(printed), rows


def run(command: list) -> tuple[str, str]:
    """What a program printed, and its error output."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout, done.stderr


class Ours:
    """Rows of f16 log-probabilities by position, read from a file as they are needed."""

    def __init__(self, file: pathlib.Path, vocabulary: int, positions: int):
        expected, found = positions * vocabulary * 2, file.stat().st_size
        if found != expected:
            sys.exit(f"the log-probabilities take {found} bytes, not {positions} x {vocabulary} x 2 = {expected}")
        self.rows = numpy.memmap(file, dtype="<f2", mode="r", shape=(positions, vocabulary))

    def row(self, position: int):
        return self.rows[position] if position < len(self.rows) else None


class LlamaCpp:
    """The file that `llama-perplexity --save-all-logits` writes.

    A header, the tokens, and for each window the positions from its middle to the last but one: two
    floats, the scale and the least, and the vocabulary in 16 bits each, all padded to whole words.
    """

    def __init__(self, file: pathlib.Path, tokens: list):
        content = numpy.memmap(file, dtype=numpy.uint8, mode="r")
        if bytes(content[:8]) != b"_logits_":
            sys.exit(f"{file} is no file of llama.cpp's log-probabilities")
        self.window, vocabulary, windows = (int(value) for value in content[8:20].view("<i4"))
        counted = self.window * windows
        self.tokens_agree = content[20 : 20 + 4 * counted].view("<i4").tolist() == tokens[:counted]
        self.vocabulary, self.first, self.windows = vocabulary, self.window // 2, windows
        width = 2 * ((vocabulary + 1) // 2) + 4
        rows = content[20 + 4 * counted :].view("<u2")
        self.rows = rows.reshape(windows * (self.window - 1 - self.first), width)

    def row(self, position: int):
        window, within = divmod(position, self.window)
        if window >= self.windows or not self.first <= within < self.window - 1:
            return None
        packed = self.rows[window * (self.window - 1 - self.first) + within - self.first]
        scale, least = packed[:4].view("<f4")
        return packed[4 : 4 + self.vocabulary] * scale + least


class Divergence:
    """Gathers the divergence of one system's rows from the reference's."""

    def __init__(self, system):
        self.system, self.found, self.same_first, self.log_sums = system, [], 0, []

    def compare(self, start: int, reference: torch.Tensor) -> None:
        """`reference` holds the log-probabilities of the positions from `start` on."""
        for begin in range(0, len(reference), ROWS):
            rows = [self.system.row(start + position) for position in range(begin, min(begin + ROWS, len(reference)))]
            chosen = [index for index, row in enumerate(rows) if row is not None]
            if not chosen:
                continue
            raw = torch.from_numpy(numpy.stack([rows[index] for index in chosen]).astype(numpy.float32))
            sums = raw.logsumexp(-1, keepdim=True)
            # Rounded to 16 bits the probabilities no longer sum to 1 exactly, which would count as divergence.
            other, expected = raw - sums, reference[[begin + index for index in chosen]]
            self.found += (expected.exp() * (expected - other)).sum(-1).double().tolist()
            self.same_first += int((expected.argmax(-1) == other.argmax(-1)).sum())
            self.log_sums += sums.abs().flatten().tolist()

    def summary(self) -> dict:
        if not all(map(math.isfinite, self.found)):
            sys.exit("some log-probabilities are not finite")
        ordered = sorted(self.found)
        return {
            "positions": len(ordered),
            "mean": sum(ordered) / len(ordered),
            "median": ordered[len(ordered) // 2],
            "percentile_99": ordered[int(len(ordered) * 0.99)],
            "most": ordered[-1],
            "same_first_choice": self.same_first / len(ordered),
        }


def perplexity(losses: list) -> float:
    return math.exp(sum(losses) / len(losses))


def run_reference(options, tokens: list, comparisons: list) -> dict:
    """The reference over all windows: its perplexities, and every comparison fed with its rows."""
    model = AutoModelForCausalLM.from_pretrained(
        options.model.parent, gguf_file=options.model.name, dtype=torch.float32
    ).eval()
    losses, second_half = [], []
    with torch.inference_mode():
        for start in range(0, len(tokens), options.window):
            ids = torch.tensor([tokens[start : start + options.window]])
            rows = model(ids).logits[0].log_softmax(-1)
            for comparison in comparisons:
                comparison.compare(start, rows)
            window = (-rows[:-1].gather(-1, ids[0, 1:, None])[:, 0]).double().tolist()
            losses += window
            # As llama.cpp counts: from what the middle position predicts.
            second_half += window[options.window // 2 :]
    return {"perplexity": perplexity(losses), "perplexity_second_half": perplexity(second_half)}


def llama_cpp_by_bindings(options, tokens: list) -> dict | None:
    """llama.cpp's perplexity over all of the same tokens; None where its bindings are missing."""
    try:
        from llama_cpp import Llama
    except ImportError:
        return None
    llama = Llama(
        str(options.model),
        n_ctx=options.window,
        n_batch=options.window,
        n_ubatch=options.window,
        n_threads=options.threads,
        n_threads_batch=options.threads,
        n_gpu_layers=0,
        flash_attn=True,
        logits_all=True,
        verbose=False,
    )
    losses = []
    for start in range(0, len(tokens), options.window):
        ids = tokens[start : start + options.window]
        llama.reset()
        llama.eval(ids)
        rows = torch.from_numpy(numpy.array(llama.scores[: len(ids) - 1])).log_softmax(-1)
        losses += (-rows.gather(-1, torch.tensor(ids[1:])[:, None])[:, 0]).double().tolist()
    return {"by": "llama-cpp-python", "perplexity": perplexity(losses)}


def llama_cpp_by_program(options, text: str, tokens: list, scratch: pathlib.Path) -> tuple[dict, LlamaCpp]:
    """llama.cpp's perplexity over second halves of windows, and its probabilities over the first windows."""
    file, saved = scratch / "text.txt", scratch / "llama.bin"
    # Written as it was read: a newline changed on the way would change the tokens.
    file.write_bytes(text.encode())
    command = [options.llama_perplexity, "-m", options.model, "-f", file, "-c", options.window]
    command += ["-t", options.threads, "-fa", "on", "-ngl", 0]
    # Its versions differ in which output the result is on.
    printed = "".join(run([*command, "--chunks", len(tokens) // options.window]))
    found = re.search(r"Final estimate: PPL = ([\d.]+)", printed)
    if not found:
        sys.exit(f"no perplexity in what {options.llama_perplexity} printed:\n{printed[-2000:]}")
    # One window holds one position less than half of its tokens.
    windows = math.ceil(options.positions / (options.window - 1 - options.window // 2))
    chunks = min(windows, len(tokens) // options.window)
    run([*command, "--chunks", chunks, "--save-all-logits", saved])
    result = {"by": "llama-perplexity", "perplexity_second_half": float(found.group(1))}
    return result, LlamaCpp(saved, tokens)



def against_llama_cpp(ours: dict, reference: dict, llama_cpp: dict | None) -> tuple[float, str]:
    """Our perplexity over llama.cpp's, over the same tokens where that is possible, and how."""
    if llama_cpp is None:
        return ours["perplexity"] / reference["perplexity"], "llama.cpp was not run: against transformers, all tokens"
    if "perplexity" in llama_cpp:
        return ours["perplexity"] / llama_cpp["perplexity"], "all tokens of the same windows"
    theirs = llama_cpp["perplexity_second_half"]
    if "perplexity_second_half" in ours:
        return ours["perplexity_second_half"] / theirs, "second halves of the same windows"
    ratio = ours["perplexity"] / reference["perplexity"]
    ratio /= theirs / reference["perplexity_second_half"]
    return ratio, "each as a ratio to transformers: ours over all tokens, llama.cpp's over second halves"


def verdict(passed: bool) -> str:
    return "PASS" if passed else "FAIL"


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--ours", required=True, metavar="PROGRAM", help="the built example `perplexity`")
    parser.add_argument("--llama-perplexity", metavar="PROGRAM")
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--positions", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--most-tokens", type=int, help="cut the text, for a quick look; such a run cannot pass")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    torch.set_num_threads(options.threads)
    text = options.text.read_bytes().decode()
    tokens = tokenise(options.model, text, options.window, options.most_tokens)
    if len(tokens) < options.positions:
        sys.exit(f"the text has {len(tokens)} tokens in whole windows, fewer than {options.positions} positions")
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        ours, file = run_ours(options, tokens, scratch)
        if ours["tokens"] != len(tokens):
            sys.exit(f"the example saw {ours['tokens']} tokens of {len(tokens)}")
        vocabulary = file.stat().st_size // (2 * options.positions)
        comparisons = {"ours": Divergence(Ours(file, vocabulary, options.positions))}
        llama_cpp = llama_cpp_by_bindings(options, tokens)
        if llama_cpp is None and options.llama_perplexity:
            llama_cpp, rows = llama_cpp_by_program(options, text, tokens, scratch)
            if not rows.tokens_agree:
                sys.exit("llama.cpp makes other tokens of this text; its perplexity cannot be compared")
            comparisons["llama_cpp"] = Divergence(rows)
        reference = run_reference(options, tokens, list(comparisons.values()))
        divergences = {name: comparison.summary() for name, comparison in comparisons.items()}
    if max(comparisons["ours"].log_sums) > MOST_LOG_SUM:
        sys.exit(f"our rows are no log-probabilities: they sum to e^{max(comparisons['ours'].log_sums):.3f}")
    report(options, tokens, ours, reference, llama_cpp, divergences)


def report(options, tokens: list, ours: dict, reference: dict, llama_cpp: dict | None, divergences: dict) -> None:
    ratio, how = against_llama_cpp(ours, reference, llama_cpp)
    divergence = divergences["ours"]
    enough = len(tokens) >= LEAST_TOKENS and divergence["positions"] >= LEAST_POSITIONS
    verdicts = {
        f"at least {LEAST_TOKENS} tokens and {LEAST_POSITIONS} positions": verdict(enough),
        f"mean divergence at most {MOST_DIVERGENCE}": verdict(divergence["mean"] <= MOST_DIVERGENCE),
        f"perplexity within {MOST_PERPLEXITY_CHANGE:.0%}": verdict(abs(ratio - 1) <= MOST_PERPLEXITY_CHANGE),
    }
    content = {
        "model": options.model.name,
        "tokens": len(tokens),
        "window": options.window,
        "ours": ours,
        "transformers": reference,
        "llama_cpp": llama_cpp,
        "divergence_from_transformers": divergences,
        "perplexity_to_llama_cpp": {"ratio": ratio, "over": how},
        "perplexity_to_transformers": ours["perplexity"] / reference["perplexity"],
        "verdicts": verdicts,
        "result": verdict(all(value == "PASS" for value in verdicts.values())),
    }
    json.dump(content, sys.stdout, indent=1)
    print()
    sys.exit(0 if content["result"] == "PASS" else 1)


if __name__ == "__main__":
    main()
