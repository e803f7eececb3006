"""What is computed from measured points: recall, frontiers, and queries a second at a given recall."""

import math

import numpy

from side_by_side import Mismatch

# A neighbour whose score reaches the 10th exact one but for rounding is as good as it: texts that
# differ only in capitals have the same vector, and which of them an index gives is chance.
ROUNDING = 1e-6
NO_ROW = numpy.iinfo("<u8").max


def recall(data, ids: numpy.ndarray) -> float:
    """The share of the exact k nearest that are among `ids` (queries x k, u64), by their scores in f64."""
    queries, k = ids.shape
    there = ids != NO_ROW
    if (ids[there] >= len(data.vectors)).any():
        raise Mismatch("an index answered with a row that it was never given")
    rows = numpy.where(there, ids, 0).astype("i8")
    for row in numpy.sort(numpy.where(there, rows, -1 - numpy.arange(k)), axis=1):
        if (row[1:] == row[:-1]).any():
            raise Mismatch("an index gave a row twice in one answer")
    scores = numpy.einsum("qkd,qd->qk", data.vectors[rows].astype("f8"), data.queries[:queries].astype("f8"))
    hits = there & (scores >= data.tenth_score[:queries, None] - ROUNDING)
    return float(hits.sum() / (queries * k))


def frontier(points: list, mode: str) -> list:
    """The points that no other beats in both recall and speed, by growing recall."""
    ordered = sorted(points, key=lambda point: (-point[mode]["recall"], -point[mode]["rate"]))
    best, kept = 0.0, []
    for point in ordered:
        if point[mode]["rate"] > best:
            best = point[mode]["rate"]
            kept.append(point)
    return kept[::-1]


def bracket(points: list, mode: str, target: float) -> list:
    """The one or two points of the frontier that the speed at a recall is computed from; none if it is not reached."""
    line = frontier(points, mode)
    above = [point for point in line if point[mode]["recall"] >= target]
    below = [point for point in line if point[mode]["recall"] < target]
    return below[-1:] + above[:1] if above else []


def rate_at(pairs: list, target: float) -> float:
    """Queries a second at a recall, from one or two (recall, rate) pairs: log-linear between two of them.

    One pair stands for itself: every point measured had a greater recall than was asked for.
    """
    if len(pairs) == 1:
        return pairs[0][1]
    (low, fast), (high, slow) = sorted(pairs)
    share = (target - low) / (high - low) if high > low else 1.0
    return math.exp(math.log(fast) + (math.log(slow) - math.log(fast)) * share)


def speed_at(points: list, mode: str, target: float) -> float | None:
    """`rate_at` of a kind's own points; None where it never reaches that recall."""
    chosen = bracket(points, mode, target)
    if not chosen:
        return None
    return rate_at([(point[mode]["recall"], point[mode]["rate"]) for point in chosen], target)
