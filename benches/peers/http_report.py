"""The figures of the server against what was asked for, as tables."""

import statistics

from side_by_side import number, summary

MEGABYTE = 1e6


def figures(measured: dict) -> list:
    """Every figure that was measured, with its bar."""
    found = []
    for name in ("latency", "throughput", "embeddings", "memory", "start"):
        if name in measured:
            found += OF[name](measured[name])
    return found


def figure(what: str, unit: str, values: list, bar: float, at_most: bool) -> dict:
    value = statistics.median(values)
    return {
        "what": what,
        "unit": unit,
        **summary(values),
        "bar": bar,
        "at_most": at_most,
        "reached": value <= bar if at_most else value >= bar,
    }


def of_latency(found: dict) -> list:
    """What a request takes longer than the engine, round by round."""
    return [
        figure(
            f"a request for one token, {form}: time over the engine's own",
            "ms",
            [each[form] - each["engine"] for each in found["rounds"]],
            1.0,
            at_most=True,
        )
        for form in ("whole", "streamed")
    ]


def of_throughput(found: dict) -> list:
    return [
        figure(f"{found['chats']} chats, {form}: tokens/s of the engine's own", "%", shares(found[form]), 97.0, False)
        for form in ("streamed", "whole")
    ]


def of_embeddings(found: dict) -> list:
    return [
        figure(
            f"embeddings, {found['clients']} clients, {form}: texts/s of the in-process figure",
            "%",
            shares(found[form]),
            95.0,
            at_most=False,
        )
        for form in ("float", "base64")
    ]


def of_memory(found: dict) -> list:
    return [
        figure(
            f"{each['streams']} idle streams of {route} and {each['connections']:,} open connections: memory",
            "MB",
            [each["all_bytes"] / MEGABYTE],
            50.0,
            at_most=True,
        )
        for route, each in found.items()
    ]


def of_start(found: dict) -> list:
    return [
        figure(f"from the start to /ready, {name}", "s", seconds, 1.0, at_most=True) for name, seconds in found.items()
    ]


OF = {
    "latency": of_latency,
    "throughput": of_throughput,
    "embeddings": of_embeddings,
    "memory": of_memory,
    "start": of_start,
}


def shares(rounds: list) -> list:
    return [100 * each["server"]["per_second"] / each["engine"]["per_second"] for each in rounds]


def bar_rows(found: list) -> list:
    rows = []
    for each in found:
        sign = "≤" if each["at_most"] else "≥"
        spread = f" ({each['min']:.2f} to {each['max']:.2f})" if len(each["values"]) > 1 else ""
        rows.append(
            [
                each["what"],
                f"{each['median']:.2f} {each['unit']}{spread}",
                f"{sign} {each['bar']:g} {each['unit']}",
                "yes" if each["reached"] else "**no**",
            ]
        )
    return rows


def detail_rows(measured: dict) -> list:
    """What the figures were made of: way by way, medians over the rounds."""
    rows = []
    if "latency" in measured:
        rounds = measured["latency"]["rounds"]
        for way in ("engine", "whole", "streamed", "health"):
            rows.append([f"latency, {way}", f"{statistics.median(each[way] for each in rounds):.3f} ms", ""])
    for name, unit in (("throughput", "tokens/s"), ("embeddings", "texts/s")):
        for form, rounds in measured.get(name, {}).items():
            if isinstance(rounds, list):
                rows += [detail(f"{name}, {form}, {way}", unit, rounds, way) for way in ("engine", "server")]
    for route, each in measured.get("memory", {}).items():
        kernel = each["kernel_bytes"]
        beside = "" if kernel is None else f"; the system's own for sockets, both ends: {megabytes(kernel)}"
        rows.append([f"memory of {each['streams']} streams of {route}", megabytes(each["streams_bytes"]), ""])
        grown = f"the busy engine's {megabytes(each['drift_per_second'])} a second taken off{beside}"
        rows.append([f"memory with {each['connections']:,} connections", megabytes(each["all_bytes"]), grown])
    return rows


def detail(what: str, unit: str, rounds: list, way: str) -> list:
    rate = statistics.median(each[way]["per_second"] for each in rounds)
    cores = [each[way]["own_cores"] for each in rounds]
    of_whom = "engine and callers" if way == "engine" else "clients alone"
    told = "" if None in cores else f"{statistics.median(cores):.2f} cores used by {of_whom}"
    return [what, f"{number(rate)} {unit}", told]


def megabytes(amount: float) -> str:
    return f"{amount / MEGABYTE:.1f} MB"
