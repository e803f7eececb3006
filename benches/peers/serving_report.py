"""The serving comparison as Markdown: what was measured, the ratios, and what they were to reach."""

import math
import statistics

from side_by_side import number, summary, with_spread

OURS, PLAIN, PEER, PEER_NGRAMS = "longtrainer", "longtrainer, no guessing", "llama-server", "llama-server, n-grams"
BARE, SERVE = "longtrainer bench", "longtrainer serve"

TITLES = {
    "chats": "Eight chats at once: prompts of 1,000 tokens that share 600, 64 new tokens each",
    "follow_up": "A follow-up question after 2,000 tokens",
    "rag": "Answers from passages (SQuAD), one at a time",
    "alone": "One chat alone: 128 new tokens; first token of a prompt of 1,000",
}

# Scenario, figure, whose, against whose, the least that is asked for, the aim; below 1 where less is better.
BARS = [
    ("chats", "tokens_per_second", OURS, PEER, 1.2, 3.0),
    ("chats", "first_token_p95", OURS, PEER, 0.8, 0.3),
    ("chats", "tokens_per_second", SERVE, PEER, 1.2, 3.0),
    ("chats", "first_token_p95", SERVE, PEER, 0.8, 0.3),
    ("chats", "tokens_per_second", SERVE, OURS, 0.97, None),
    ("chats", "first_token_p95", SERVE, OURS, None, None),
    ("follow_up", "first_token", OURS, PEER, 1.0, 0.5),
    ("rag", "tokens_per_second", OURS, PLAIN, 1.3, 2.0),
    ("rag", "tokens_per_second", OURS, PEER, None, None),
    ("rag", "tokens_per_second", OURS, PEER_NGRAMS, None, None),
    ("alone", "tokens_per_second", OURS, BARE, 0.97, None),
    ("alone", "tokens_per_second", PLAIN, BARE, 0.97, None),
    ("alone", "tokens_per_second", OURS, PEER, None, None),
    ("alone", "first_token", OURS, PEER, None, None),
]
FIGURES = {
    "tokens_per_second": "new tokens/s",
    "first_token": "time to first token, median",
    "first_token_p95": "time to first token, 95th percentile",
}


def percentile(values: list, share: float) -> float:
    """The least value that so large a share of all does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def figure(rounds: list, name: str) -> float:
    """One figure over all rounds."""
    key = "first_token" if name == "first_token_p95" else name
    values = [value for each in rounds for value in each[key]]
    return percentile(values, 0.95) if name == "first_token_p95" else statistics.median(values)


def ratios(samples: dict) -> list:
    """Every ratio that can be made of what was measured, with its spread over the rounds."""
    found = []
    for scenario, name, system, other, least, aim in BARS:
        ours, theirs = (samples.get(each, {}).get(scenario) for each in (system, other))
        if not ours or not theirs:
            continue
        ratio = figure(ours, name) / figure(theirs, name)
        by_round = summary([figure([a], name) / figure([b], name) for a, b in zip(ours, theirs)])
        found.append(
            {
                "scenario": scenario,
                "figure": name,
                "system": system,
                "against": other,
                "ratio": ratio,
                "ratio_by_round": by_round,
                "least": least,
                "aim": aim,
                "reached": None if least is None else is_reached(name, ratio, least),
            }
        )
    return found


def is_reached(name: str, ratio: float, bar: float) -> bool:
    return ratio >= bar if name == "tokens_per_second" else ratio <= bar


def markdown(content: dict) -> str:
    lines = ["# Serving: several people at once, beside llama-server", "", *conditions(content), ""]
    if content["ratios"]:
        lines += ["## Ratios", "", *ratio_table(content["ratios"]), ""]
    for scenario, title in TITLES.items():
        if any(scenarios.get(scenario) for scenarios in content["samples"].values()):
            lines += [f"## {title}", "", *scenario_table(content["samples"], scenario), ""]
    return "\n".join([*lines, *notes(content)]) + "\n"


def conditions(content: dict) -> list:
    machine = content["machine"]
    lines = [
        f"- machine: {machine['name']} (family/model {machine['family']}), {machine['cores']} cores usable, "
        f"{' '.join(machine['extensions']) or 'no vector extension known'}, {machine['system']}",
        f"- model: {content['model']}; {content['threads']} threads; rounds: {content['rounds']}, "
        "in an order that changes; one system runs at a time, started anew every round",
        f"- Longtrainer: {content['longtrainer']}; llama-server: {content['llama_server']}",
        f"- made by `{content['command']}`",
    ]
    lines += [f"- {name}: `{command}`" for name, command in content["commands"].items()]
    return lines


def ratio_table(found: list) -> list:
    rows = []
    for each in found:
        spread = each["ratio_by_round"]
        reached = {True: "yes", False: "**no**", None: ""}[each["reached"]]
        rows.append(
            [
                f"{each['scenario']}: {FIGURES[each['figure']]}",
                f"{each['system']} / {each['against']}",
                f"{each['ratio']:.2f} ({spread['min']:.2f}-{spread['max']:.2f})",
                bar(each),
                reached,
            ]
        )
    return table(["what", "of", "ratio (by round)", "asked for", "reached"], rows)


def bar(each: dict) -> str:
    if each["least"] is None:
        return ""
    sign = "≥" if each["figure"] == "tokens_per_second" else "≤"
    return f"{sign} {each['least']}" + (f", aim {each['aim']}" if each["aim"] else "")


def scenario_table(samples: dict, scenario: str) -> list:
    rows = []
    for system, scenarios in samples.items():
        rounds = scenarios.get(scenario)
        if not rounds:
            continue
        speeds = [value for each in rounds for value in each.get("tokens_per_second", [])]
        firsts = [value for each in rounds for value in each.get("first_token", [])]
        rows.append(
            [
                system,
                with_spread(summary(speeds)) if speeds else "",
                milliseconds(statistics.median(firsts)) if firsts else "",
                milliseconds(percentile(firsts, 0.95)) if firsts else "",
                share_cached(rounds),
            ]
        )
    headings = ["system", "new tokens/s (min-max)", "first token, median", "95th percentile", "prompt from cache"]
    return table(headings, rows)


def share_cached(rounds: list) -> str:
    """How much of the prompts was not computed again, as the system tells."""
    prompt, cached = (sum(sum(each.get(key, [])) for each in rounds) for key in ("prompt_tokens", "cached_tokens"))
    return f"{cached / prompt:.0%}" if prompt else ""


def notes(content: dict) -> list:
    """What else is worth knowing of the run."""
    lines = []
    for system, scenarios in content["samples"].items():
        drafted = sum(each.get("drafted", 0) for each in scenarios.get("rag", []))
        accepted = sum(each.get("accepted", 0) for each in scenarios.get("rag", []))
        if drafted:
            lines.append(f"- {system} guessed {drafted} tokens of the answers from passages; {accepted} were right.")
    same = content["same_answers"]
    if same is not None:
        lines.append(f"- {same:.0%} of the answers from passages are the same text as llama-server's.")
    lines += [f"- warning: {warning}" for warning in content["warnings"]]
    return ["## Notes", "", *lines] if lines else []


def milliseconds(seconds: float) -> str:
    return f"{number(seconds * 1000)} ms"


def table(headings: list, rows: list) -> list:
    line = lambda row: "| " + " | ".join(str(cell) for cell in row) + " |"
    return [line(headings), "|" + "---|" * len(headings), *(line(row) for row in rows)]
