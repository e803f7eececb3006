#!/usr/bin/env python3
"""Whether the demo vision model answers the same through llama.cpp's multimodal library as through ours.

    python vision_answers.py --longtrainer target/release/longtrainer --llama-source SOURCE --llama-build BUILD \\
        --text TEXT.gguf --data easy_vqa/data/test [--questions 200]

Both read the same three files (text model, `mmproj`, adapter) and the same prompts, and answer greedily. SOURCE is
llama.cpp's source and BUILD a static build of it with the target `mtmd` (peers-setup of the serving comparison:
clang, no GPU). The comparison program, mtmd_answers.cpp, is compiled beside it.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
MODEL = HERE.parents[1] / "models" / "demo-vision"
MARK = "\ufdd0"


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory() as scratch:
        ours = our_answers(arguments, pathlib.Path(scratch))
        program = compile_peer(arguments, pathlib.Path(scratch))
        theirs = their_answers(arguments, program, ours)
    report(ours, theirs)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    path = lambda name, **more: parser.add_argument(name, type=pathlib.Path, required=True, **more)
    path("--longtrainer")
    path("--llama-source")
    path("--llama-build")
    path("--text", help="the text model that the demo was trained for")
    path("--data", help="easy-vqa's data/test folder")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--compiler", default="clang++-19")
    return parser.parse_args()


def our_answers(arguments: argparse.Namespace, scratch: pathlib.Path) -> list[dict]:
    answers = scratch / "answers.jsonl"
    command = [arguments.longtrainer, "eval", "vqa", arguments.data, "--limit", str(arguments.questions)]
    subprocess.run([*command, "--answers", answers, "--json"], check=True, stdout=subprocess.DEVNULL)
    return [json.loads(line) for line in answers.read_text().splitlines()]


def compile_peer(arguments: argparse.Namespace, scratch: pathlib.Path) -> pathlib.Path:
    source, build = arguments.llama_source, arguments.llama_build
    program = scratch / "mtmd_answers"
    libraries = [find(build, name) for name in ("mtmd", "vendor-hash", "llama", "ggml", "ggml-cpu", "ggml-base")]
    includes = [f"-I{source / folder}" for folder in ("include", "ggml/include", "tools/mtmd")]
    linked = ["-Wl,--start-group", *libraries, "-Wl,--end-group", "-lpthread", "-ldl", "-fopenmp"]
    command = [arguments.compiler, "-O2", "-std=c++17", *includes, HERE / "mtmd_answers.cpp", *linked]
    subprocess.run([*command, "-o", program], check=True)
    return program


def find(build: pathlib.Path, name: str) -> pathlib.Path:
    found = sorted(build.rglob(f"lib{name}.a"))
    if not found:
        sys.exit(f"{build} has no lib{name}.a: build the target mtmd with static libraries")
    return found[0]


def their_answers(arguments: argparse.Namespace, program: pathlib.Path, ours: list[dict]) -> list[str]:
    before, after = prompt_around(arguments.text)
    images = arguments.data / "images"
    lines = "".join(f"{images / str(each['picture'])}.png\t{each['question']}\n" for each in ours)
    files = [arguments.text, MODEL / "mmproj-demo-vision-f16.gguf", MODEL / "adapter-demo-vision-f16.gguf"]
    run = subprocess.run([program, *files, before, after], input=lines, text=True, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return run.stdout.splitlines()


def prompt_around(text_model: pathlib.Path) -> tuple[str, str]:
    """The text model's own template around a user's message."""
    from gguf import GGUFReader
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    template = GGUFReader(text_model).get_field("tokenizer.chat_template").contents()
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    messages = [{"role": "user", "content": MARK}]
    rendered = environment.from_string(template).render(messages=messages, add_generation_prompt=True)
    before, after = rendered.split(MARK)
    return before, after


def report(ours: list[dict], theirs: list[str]) -> None:
    if len(ours) != len(theirs):
        sys.exit(f"{len(theirs)} answers from llama.cpp to {len(ours)} questions")
    differing = [(mine, other.strip()) for mine, other in zip(ours, theirs) if mine["answer"] != other.strip()]
    right = lambda answers: sum(mine["label"] == answer for mine, answer in zip(ours, answers)) / len(ours)
    print(f"questions       {len(ours)}")
    print(f"same answer     {len(ours) - len(differing)}")
    print(f"right, ours     {right([mine['answer'] for mine in ours]):.3f}")
    print(f"right, theirs   {right([other.strip() for other in theirs]):.3f}")
    for mine, other in differing:
        print(f"  picture {mine['picture']}: {mine['question']} ours {mine['answer']!r}, theirs {other!r}, right {mine['label']!r}")


if __name__ == "__main__":
    main()
