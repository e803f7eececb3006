"""Runs Longtrainer beside PyTorch, transformers and sentence-transformers' model on one card, in one run.

    pip install torch transformers
    scripts/build-cuda
    python benches/peers/gpu.py --longtrainer target/cuda/release/longtrainer --json gpu.json

Weights are made up on both sides, in the same shapes, in bf16: how fast a model is does not depend on them. Both are asked
for the same work in turns, so that a card that grows warm is no advantage to either:

- decoding 128 tokens in one context, and in 8, after one token; reading prompts of 512 and 4096 tokens;
- embedding rows of 16, 128 and 512 tokens, with the batch that is fastest for each;
- finding the 10 nearest of a million vectors of 384 components to 64 queries (a product and a top-k).

A ratio above 1 means that Longtrainer is faster. Without a card, --device cpu with --shape tiny-text and few vectors tries
the script.
"""

import argparse
import json
import subprocess
import sys
import time

# As in crates/longtrainer/src/bench/shape.rs.
TEXT = {
    "llama-8b": dict(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
                     num_key_value_heads=8, vocab_size=128256),
    "llama-1b": dict(hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32,
                     num_key_value_heads=8, vocab_size=128256, tie_word_embeddings=True),
    "smollm2-135m": dict(hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
                         num_key_value_heads=3, vocab_size=49152, tie_word_embeddings=True),
    "tiny-text": dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
                      num_key_value_heads=2, vocab_size=512, tie_word_embeddings=True),
}
ENCODER = {
    "minilm-l6": dict(hidden_size=384, intermediate_size=1536, num_hidden_layers=6, num_attention_heads=12),
    "tiny-encoder": dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
                         vocab_size=1000, max_position_embeddings=128),
}
LEAST_SECONDS = 0.5


def median(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


class Torch:
    """PyTorch's side."""

    def __init__(self, device):
        import torch

        self.torch, self.device = torch, device
        torch.manual_seed(1)
        torch.set_grad_enabled(False)

    def wait(self):
        if self.device != "cpu":
            self.torch.cuda.synchronize()

    def rate(self, amount, run):
        """How much of something a second: one run to warm up, then runs for half a second or more."""
        run()
        self.wait()
        runs, started = 0, time.perf_counter()
        while runs == 0 or time.perf_counter() - started < LEAST_SECONDS:
            run()
            self.wait()
            runs += 1
        return amount * runs / (time.perf_counter() - started)

    def text_model(self, shape):
        from transformers import AutoModelForCausalLM, LlamaConfig

        config = LlamaConfig(max_position_embeddings=8192, **TEXT[shape])
        with self.torch.device(self.device):
            model = AutoModelForCausalLM.from_config(config, dtype=self.torch.bfloat16)
        self.text, self.vocabulary = model.eval(), config.vocab_size

    def text_test(self, test):
        rows, _, rest = test.rpartition("x")
        rows, count = int(rows or 1), int(rest[2:])
        tokens = self.torch.randint(self.vocabulary, (rows, count), device=self.device)
        run = self.read if rest.startswith("pp") else self.make
        return self.rate(rows * count, lambda: run(tokens))

    def read(self, tokens):
        self.text(tokens, logits_to_keep=1)

    def make(self, tokens):
        """A token at a time, with the cache that transformers chooses; nothing is sampled."""
        past = None
        for place in range(tokens.shape[1]):
            past = self.text(tokens[:, place : place + 1], past_key_values=past, use_cache=True).past_key_values

    def encoder_model(self, shape):
        from transformers import BertConfig, BertModel

        config = BertConfig(**ENCODER[shape])
        model = BertModel(config, add_pooling_layer=False)
        self.encoder = model.to(self.device, self.torch.bfloat16).eval()
        self.words = config.vocab_size

    def encoder_test(self, tokens):
        best, rows = 0.0, 8
        while rows * tokens <= 1 << 17:
            ids = self.torch.randint(self.words, (rows, tokens), device=self.device)
            rate = self.rate(rows, lambda ids=ids: self.embed(ids))
            if rate < best * 1.03:
                return max(best, rate)
            best, rows = rate, rows * 2
        return best

    def embed(self, ids):
        states = self.encoder(ids).last_hidden_state.float().mean(1)
        self.torch.nn.functional.normalize(states, dim=1).cpu()

    def search_test(self, vectors, dimension, queries):
        table = self.torch.rand(vectors, dimension, device=self.device) * 2 - 1
        asked = self.torch.rand(queries, dimension, device=self.device) * 2 - 1
        return self.rate(queries, lambda: [part.cpu() for part in (asked @ table.T).topk(10)])


def longtrainer(options, arguments):
    """The measurements of one run, by name of the test."""
    command = [options.longtrainer, "bench", *arguments, "--device", options.device, "--json"]
    told = subprocess.run([*command, "--repeat", "3"], check=True, capture_output=True, text=True)
    return json.loads(told.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--longtrainer", required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shape", default="llama-8b", choices=TEXT)
    parser.add_argument("--encoder", default="minilm-l6", choices=ENCODER)
    parser.add_argument("--tests", default="pp512,pp4096,tg128,8xtg128")
    parser.add_argument("--lengths", default="16,128,512")
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    options = parser.parse_args()

    torch = Torch(options.device)
    torch.text_model(options.shape)
    torch.encoder_model(options.encoder)
    peers, ours, details = {}, {}, {}

    def keep(name, theirs, measured):
        peers.setdefault(name, []).append(theirs)
        ours.setdefault(name, []).append(measured["value"])
        details[name] = measured

    for _ in range(options.rounds):
        for test in options.tests.split(","):
            measured = longtrainer(options, ["--shape", options.shape, "--weights", "bf16", "--tests", test])
            keep(f"{options.shape} {test}", torch.text_test(test), measured[0])
        for length in options.lengths.split(","):
            measured = longtrainer(options, ["--shape", options.encoder, "--tests", f"x{length}"])
            keep(f"{options.encoder} x{length}", torch.encoder_test(int(length)), measured[0])
        size = ["search", "--vectors", str(options.vectors), "--dimension", "384", "--queries", "64"]
        keep("search", torch.search_test(options.vectors, 384, 64), longtrainer(options, size)[0])

    rows = []
    for name in ours:
        mine, theirs = median(ours[name]), median(peers[name])
        rows.append(dict(test=name, unit=details[name]["unit"], longtrainer=mine, pytorch=theirs, ratio=mine / theirs,
                         samples=dict(longtrainer=ours[name], pytorch=peers[name]), measurement=details[name]))
        print(f"{name:28} {mine:12.1f} {theirs:12.1f} {rows[-1]['unit']:12} ratio {mine / theirs:.2f}")
    if options.json:
        import torch as installed
        import transformers

        versions = dict(torch=installed.__version__, cuda=installed.version.cuda, transformers=transformers.__version__)
        with open(options.json, "w") as file:
            json.dump(dict(command=" ".join(sys.argv), versions=versions, rows=rows), file, indent=1)


if __name__ == "__main__":
    main()
