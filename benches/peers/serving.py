"""Serves one model by Longtrainer's engine and by llama-server, in turns, and asks both the same.

    cargo build --release -p longtrainer-benches --bin serving
    cargo build --release -p longtrainer-cli
    python benches/peers/serving.py --model MODEL.gguf --squad squad_sample.json \\
        --serving target/release/serving --longtrainer target/release/longtrainer \\
        --llama-server FOLDER/native/bin/llama-server

Four scenarios: eight chats at once, a follow-up question, answers from passages, one chat alone. In a
round every system is started, warmed up, asked all scenarios and stopped, so that only one of them is
there at a time and caches hold nothing from before. Figures are medians over the rounds. The results go to
`benches/results/serving.md` and `.json`; with `--quick`, which makes one short round, they are only printed.
"""

import argparse
import datetime
import pathlib
import shlex
import statistics
import sys

import serving_report as report
from serving_prompts import Prompts, prepare, prompt_template
from serving_scenarios import ALONE, SCENARIOS, run, warm_up
from serving_systems import Running, llama_server_version, systems
from side_by_side import (
    DISTURBANCE,
    Mismatch,
    alternated,
    describe_machine,
    longtrainer_bench,
    longtrainer_version,
    print_machine,
    usable_cores,
    write_json,
)

SIZE = {"chats": 8, "follow_ups": 3, "questions": 16, "alone": 3}
QUICK = {"chats": 8, "follow_ups": 1, "questions": 4, "alone": 1}
RESULTS = pathlib.Path(__file__).parent.parent / "results"


def make_prompts(options) -> dict:
    """Everything that will be asked, counted by a llama-server that is stopped before the first round."""
    [counter] = [each for each in systems(options) if each.name == report.PEER]
    template = prompt_template(options.serving)
    with Running(counter, options.threads) as running:
        prompts = Prompts(running.port, options.squad, template, options.seed)
        return prepare(prompts, options.rounds, QUICK if options.quick else SIZE)


def compare(options, asked: dict) -> tuple[dict, dict]:
    """Every round; what each system showed in each scenario, and how each was started."""
    compared = [each for each in systems(options) if not options.systems or each.name in options.systems]
    samples = {each.name: {name: [] for name in each.scenarios if name in options.scenarios} for each in compared}
    samples[report.BARE], commands = {"alone": []}, {}
    for turn, messages in enumerate(asked["rounds"]):
        for system in alternated(compared, turn):
            commands[system.name] = measure(options, system, messages, asked["ends"], samples[system.name])
        check_alike(samples, turn)
        if "alone" in options.scenarios and options.longtrainer:
            samples[report.BARE]["alone"].append(bare(options, samples, turn))
        print(f"round {turn + 1} of {options.rounds} done", file=sys.stderr)
    return samples, commands


def measure(options, system, messages: dict, ends: list, samples: dict) -> str:
    """One system's turn."""
    with Running(system, options.threads) as running:
        warm_up(running)
        for name in samples:
            samples[name].append(run(running, name, messages[name], ends))
            print(f"{system.name}: {name} done", file=sys.stderr)
        return shlex.join(running.command)


def bare(options, samples: dict, turn: int) -> dict:
    """The model alone, with no engine around it: as many tokens after a prompt as long."""
    tokens = next(each["alone"][turn]["story_prompt_tokens"] for each in samples.values() if each.get("alone"))
    test = f"tg{ALONE}@{tokens}"
    arguments = ["text", "--model-file", options.model, "--tests", test]
    found = longtrainer_bench(options.longtrainer, arguments, test, options.threads, None)
    return {"tokens_per_second": [found["value"]], "cores_used_by_others": found["cores_used_by_others"]}


def check_alike(samples: dict, turn: int) -> None:
    """Same prompts for all, and the same answers with and without guessing."""
    for scenario in SCENARIOS:
        if scenario == "follow_up":  # Its history is the system's own answer.
            continue
        counts = {
            name: found[scenario][turn]["prompt_tokens"]
            for name, found in samples.items()
            if found.get(scenario) and name != report.BARE
        }
        if len(set(map(tuple, counts.values()))) > 1:
            raise Mismatch(f"the systems made prompts of different lengths of the same messages: {counts}")
    answered = [samples[name] for name in (report.OURS, report.PLAIN) if samples.get(name, {}).get("rag")]
    texts = [found["rag"][turn]["texts"] for found in answered]
    if len(texts) == 2 and texts[0] != texts[1]:
        raise Mismatch("guessing tokens changed an answer, which it must not")


def same_answers(samples: dict) -> float | None:
    """The share of our answers from passages that are llama-server's, too."""
    ours, theirs = (
        [text for each in samples.get(name, {}).get("rag", []) for text in each["texts"]]
        for name in (report.OURS, report.PEER)
    )
    return statistics.mean(a == b for a, b in zip(ours, theirs)) if ours and theirs else None


def disturbances(samples: dict) -> list:
    """What other processes took while something was measured."""
    rounds = [each for scenarios in samples.values() for rounds in scenarios.values() for each in rounds]
    others = [each["cores_used_by_others"] for each in rounds if each["cores_used_by_others"] is not None]
    disturbed = sum(cores > DISTURBANCE for cores in others)
    if not disturbed:
        return []
    return [
        f"other processes used more than {DISTURBANCE} cores in {disturbed} of {len(others)} samples, "
        f"{max(others):.1f} at most; measure again on a quiet machine"
    ]


def measure_all(options) -> None:
    machine = describe_machine()
    print_machine(machine, options.threads)
    asked = make_prompts(options)
    samples, commands = compare(options, asked)
    content = {
        "machine": machine,
        "date": datetime.date.today().isoformat(),
        "model": pathlib.Path(options.model).name,
        "threads": options.threads,
        "rounds": options.rounds,
        "seed": options.seed,
        "longtrainer": longtrainer_version(options.longtrainer) if options.longtrainer else "version not told",
        "llama_server": llama_server_version(options.llama_server),
        "command": shlex.join(["python", *sys.argv]),
        "commands": commands,
        "ratios": report.ratios(samples),
        "same_answers": same_answers(samples),
        "warnings": disturbances(samples),
        "samples": samples,
    }
    publish(without_paths(content), options.out)


def publish(content: dict, folder: pathlib.Path | None) -> None:
    text = report.markdown(content)
    print(text)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "serving.md").write_text(text)
        write_json(str(folder / "serving.json"), content)


def without_paths(content: dict) -> dict:
    """The commands with files by their names: where they lie is nobody's business."""
    strip = lambda command: shlex.join(
        pathlib.PurePath(part).name if "/" in part else part for part in shlex.split(command)
    )
    commands = {name: strip(command) for name, command in content["commands"].items()}
    return {**content, "command": strip(content["command"]), "commands": commands}


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, metavar="FILE.gguf")
    parser.add_argument("--squad", required=True, metavar="FILE.json", help="texts and questions in SQuAD's layout")
    parser.add_argument("--serving", required=True, metavar="PROGRAM", help="our engine behind HTTP")
    parser.add_argument("--serve", metavar="PROGRAM", help="the server that people run, to be measured beside the engine")
    parser.add_argument("--llama-server", required=True, metavar="PROGRAM")
    parser.add_argument("--llama-server-flags", default="", metavar="FLAGS", help="further flags for it, in one string")
    parser.add_argument("--longtrainer", metavar="PROGRAM", help="for the model's own decoding speed and the version")
    parser.add_argument("--systems", action="append", metavar="NAME", help="only these; all if not given")
    parser.add_argument("--scenarios", type=lambda names: names.split(","), default=list(SCENARIOS), metavar="NAMES")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1, help="other texts with another seed")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that all works")
    parser.add_argument("--out", type=pathlib.Path, metavar="FOLDER", help="for the results, if not benches/results")
    options = parser.parse_args()
    unknown = set(options.scenarios) - set(SCENARIOS)
    if unknown:
        parser.error(f"unknown scenarios {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    if options.serve and options.threads != usable_cores():
        parser.error(f"serve runs on all {usable_cores()} cores; --threads must be as many")
    names = {each.name for each in systems(options)}
    if options.systems and set(options.systems) - names:
        parser.error(f"unknown systems; there are {', '.join(sorted(names))}")
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads start at 1")
    if options.quick:
        options.rounds = 1
    elif options.out is None:
        options.out = RESULTS
    return options


def main() -> None:
    options = parse_options()
    try:
        measure_all(options)
    except Mismatch as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()
