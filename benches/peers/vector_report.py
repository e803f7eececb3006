"""The vector-search comparison as tables in Markdown, as JSON and as a plot."""

import contextlib
import io
import pathlib

from side_by_side import number, print_table, with_spread, write_json
from vector_curves import frontier, speed_at

OURS, FAISS = "Longtrainer", "FAISS"
MODES = {"one": "one at a time", "batch": "batch of all"}
LEAST_RECALL_SHOWN = 0.80
RECALL_OF_ORDER = 0.95

# The colours of Okabe and Ito, which people who are colour-blind tell apart; one a system.
COLOURS = {OURS: "#D55E00", FAISS: "#0072B2", "usearch": "#009E73", "hnswlib": "#CC79A7"}
DASHES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 3))]
MARKERS = "os^DvPX"


def write(folder: pathlib.Path, content: dict) -> None:
    """Prints the tables and writes them, everything measured, and the plot."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"vector_search_{content['set']}"
    write_json(folder / f"{name}.json", content)
    text = tables(content)
    print(text)
    (folder / f"{name}.md").write_text(text)
    plot(folder / f"{name}.svg", content)


# --- Tables ----------------------------------------------------------------------------------


def tables(content: dict) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        print_conditions(content)
        print()
        print_table(*compared(content))
        print()
        print(
            "Queries a second are medians over the rounds (least-greatest), each index at the recall@10 named,\n"
            "log-linear between the two points measured next to it. A ratio above 1 means that Longtrainer is better:\n"
            "faster, or smaller. Build, memory and opening are those of the index that the first row of its recall names."
        )
        print()
        print_table(*every_kind(content))
        print()
        print(
            "Memory is what the process grew by, files that it maps not counted. Opening lasts to the first answer, with\n"
            "the file in the page cache. One at a time has one thread, except for exact scans, which have what is faster."
        )
    return out.getvalue()


def print_conditions(content: dict) -> None:
    machine, data = content["machine"], content["data"]
    print(f"# Vector search: {content['set']}")
    print()
    print(f"- data: {data['vectors']:,} vectors of {data['dimension']}, {data['queries']:,} queries; {data['made_of']}")
    extensions = " ".join(machine["extensions"]) or "no vector extension known"
    print(f"- machine: {machine['name']} (family/model {machine['family']}), {machine['cores']} cores, {extensions}")
    print(
        f"- threads: {content['threads']}; rounds: {content['rounds']}; load at the start: {machine['load_at_start']}"
    )
    for system, about in content["systems"].items():
        isa = f", {about['isa']}" if about.get("isa") else ""
        print(f"- {system}: {about['about']}{isa}")
    for threads, rate in (content["bandwidth_bytes_per_second"] or {}).items():
        print(f"- read bandwidth on {threads} threads: {rate / 1e9:.1f} GB/s")


def compared(content: dict) -> tuple:
    """The comparison: a row a measure, with our best, FAISS's best and the best of all peers."""
    headings = ["measure", OURS, "best of FAISS", "ratio", "best peer", "ratio"]
    rows = []
    for test in content["tests"]:
        recall = "exact" if test["recall"] is None else f"recall {test['recall']}"
        entries = {
            system: {"value": found["median"], "text": f"{with_spread(found)}, {found['kind']}", "kind": found["kind"]}
            for system, found in test["systems"].items()
        }
        rows.append(row(f"{recall}, {MODES[test['mode']]}, queries/s", entries, greater_is_better=True))
        # The indexes' costs once a recall: those that are fastest for a query alone.
        if test["mode"] == "one":
            rows += costs(content, recall, entries)
    return headings, rows


def costs(content: dict, recall: str, entries: dict) -> list:
    kinds = {(kind["system"], kind["name"]): kind for kind in content["kinds"]}
    vectors = content["data"]["vectors"]
    measures = {
        "build, s": lambda kind: kind["build"]["seconds"],
        "memory, bytes a vector": lambda kind: per_vector(kind["build"]["memory_bytes"], vectors),
        "opening, ms": lambda kind: kind["open"]["seconds"] * 1e3,
    }
    rows = []
    for measure, value_of in measures.items():
        values = {system: value_of(kinds[system, entry["kind"]]) for system, entry in entries.items()}
        chosen = {
            system: {"value": value, "text": f"{number(value)}, {entries[system]['kind']}"}
            for system, value in values.items()
            if value is not None
        }
        rows.append(row(f"{recall}, {measure}", chosen, greater_is_better=False))
    return rows


def row(measure: str, entries: dict, greater_is_better: bool) -> list:
    """One measure: ours, FAISS's and the best peer's value, and ratios that are above 1 where ours is better."""
    ours, faiss = entries.get(OURS), entries.get(FAISS)
    peers = {system: entry for system, entry in entries.items() if system != OURS}
    pick = max if greater_is_better else min
    best = pick(peers, key=lambda system: peers[system]["value"]) if peers else None
    return [
        measure,
        ours["text"] if ours else "-",
        faiss["text"] if faiss else "-",
        ratio(ours, faiss, greater_is_better),
        f"{best}: {peers[best]['text']}" if best else "-",
        ratio(ours, peers.get(best), greater_is_better),
    ]


def ratio(ours: dict | None, peer: dict | None, greater_is_better: bool) -> str:
    if not ours or not peer:
        return "-"
    above, below = (ours, peer) if greater_is_better else (peer, ours)
    if below["value"] <= 0:
        return "-"
    found = above["value"] / below["value"]
    return number(found) if found >= 0.1 else f"{found:.2g}"


def every_kind(content: dict) -> tuple:
    """A row an index: what it costs and how fast the sweep found it at each recall."""
    targets = sorted({test["recall"] for test in content["tests"] if test["recall"] is not None})
    headings = ["index", "build, s", "memory, bytes a vector", "file, bytes a vector", "opening, ms"]
    for mode in MODES:
        headings += [f"{mode} at {target}" for target in targets] + [f"{mode}, most recall"]
    vectors = content["data"]["vectors"]
    rows = []
    for kind in content["kinds"]:
        memory = per_vector(kind["build"]["memory_bytes"], vectors)
        cells = [
            f"{kind['system']} {kind['name']}",
            number(kind["build"]["seconds"]),
            "-" if memory is None else number(memory),
            number(per_vector(kind["build"]["file_bytes"], vectors)),
            f"{number(kind['open']['seconds'] * 1e3)} ({kind['open']['way']})",
        ]
        for mode in MODES:
            speeds = [speed_at(kind["points"], mode, target) for target in targets]
            cells += ["-" if speed is None else number(speed) for speed in speeds]
            last = frontier(kind["points"], mode)[-1][mode]
            cells.append(f"{number(last['rate'])} at {last['recall']:.4f}")
        rows.append(cells)
    return headings, rows


def per_vector(size: int | None, vectors: int) -> float | None:
    return None if size is None else size / vectors


# --- The plot --------------------------------------------------------------------------------


def plot(file: pathlib.Path, content: dict) -> None:
    """Recall against queries a second: a line for each family of index, named beside the panel."""
    import matplotlib

    matplotlib.use("svg")
    # Text stays text, and equal input gives equal bytes.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": file.name, "font.size": 10})
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, 1, figsize=(10, 11), layout="constrained")
    for panel, (mode, title) in zip(panels, MODES.items()):
        for name, system, turn, pairs in lines_of(content, mode):
            panel.plot(*zip(*pairs), label=name, clip_on=True, **style(system, turn))
        panel.set_yscale("log")
        # A little beyond 1, so that the exact scans' marks are whole.
        panel.set_xlim(LEAST_RECALL_SHOWN, 1.004)
        threads = "one thread" if mode == "one" else f"{content['threads']} threads"
        panel.set_title(f"{content['set']}: {title}, {threads}", loc="left")
        panel.set_xlabel("recall@10")
        panel.set_ylabel("queries/s")
        panel.grid(True, which="major", color="#dddddd", linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
        name_lines(panel)
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


def lines_of(content: dict, mode: str) -> list:
    """For each family, the fastest first, the best of its points whatever the number of lists.

    A line has its name, its system, its turn among the system's (which tells lines of one colour
    apart) and its (recall, queries a second) pairs.
    """
    families = {}
    for kind in content["kinds"]:
        families.setdefault((kind["system"], kind["family"]), []).extend(kind["points"])
    turns, lines = {}, []
    for (system, family), points in families.items():
        turns[system] = turns.get(system, -1) + 1
        pairs = [(point[mode]["recall"], point[mode]["rate"]) for point in frontier(points, mode)]
        order = speed_at(points, mode, RECALL_OF_ORDER) or 0.0
        lines.append((order, (f"{system} {family}", system, turns[system], pairs)))
    return [line for _, line in sorted(lines, key=lambda entry: -entry[0])]


def style(system: str, turn: int) -> dict:
    return {
        "color": COLOURS[system],
        "linestyle": DASHES[turn % len(DASHES)],
        "marker": MARKERS[turn % len(MARKERS)],
        "markersize": 6,
        "linewidth": 2.4 if system == OURS else 1.4,
    }


def name_lines(panel) -> None:
    """The names beside the panel with a piece of their lines, in the order in which these lie."""
    names = panel.legend(
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        frameon=False,
        handlelength=4,
        title=f"fastest first at recall {RECALL_OF_ORDER}",
    )
    for name in names.get_texts():
        if name.get_text().startswith(OURS):
            name.set_weight("bold")
