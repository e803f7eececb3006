"""Which kinds of index are compared, and the parameters that each is swept over."""

import dataclasses

OURS = "Longtrainer"
PEER_SYSTEMS = ["FAISS", "usearch", "hnswlib"]

PROBES = [2**power for power in range(10)]
EXPANSIONS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768]
# How many times k FAISS scores again with the whole vectors after a scan of short codes.
RERANKS = [4, 10, 30]
RECALLS = [0.8, 0.9, 0.93, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99]

# From so many vectors on, lists are more and still hold some hundred vectors each.
MANY = 500_000


@dataclasses.dataclass
class Kind:
    """A kind of index: how it is built, and lines of parameters by growing effort.

    `family` is the kind without its number of lists: what shares a line in the plot.
    """

    system: str
    name: str
    family: str
    build: dict
    sweep: list
    flat: bool = False
    can_map: bool = False

    def __str__(self) -> str:
        return f"{self.system} {self.name}"


def kinds_of(data) -> list:
    """All kinds for a data set, of all systems."""
    many = len(data.vectors) >= MANY
    lists = [4096] if many else [1024, 2048]
    return [*ours(lists), *faiss(lists, data.dimension), *usearch(), *hnswlib()]


def ours(lists: list) -> list:
    kinds = [
        Kind(OURS, kind, kind, {"kind": kind}, [[{}]], flat=True, can_map=False) for kind in ("flat", "flat-bytes")
    ]
    targets = [{"recall": recall} for recall in RECALLS]
    for kind in ("ivf-bits", "ivf-bytes"):
        for count in lists:
            build = {"kind": kind, "lists": count}
            kinds.append(Kind(OURS, f"{kind} {count}", kind, build, [targets]))
    return [*kinds, Kind(OURS, "auto", "auto", {"kind": "auto"}, [targets])]


def faiss(lists: list, dimension: int) -> list:
    named = lambda name, family, sweep, **more: Kind("FAISS", name, family, {"kind": name}, sweep, can_map=True, **more)
    kinds = [named("Flat", "Flat", [[{}]], flat=True)]
    for count in lists:
        reranked = [[{**tuning, "rerank": rerank} for tuning in probes(count)] for rerank in RERANKS]
        kinds += [
            named(f"IVF{count},Flat", "IVF Flat", [probes(count)]),
            named(f"IVF{count},SQ8", "IVF SQ8", [probes(count)]),
            named(f"IVF{count},PQ{dimension // 4}x4fs,RFlat", "IVF PQ4fs + refine", reranked),
            # The method rotates the vectors first; where their components are alike without that, the
            # rotation only costs time, so FAISS gets the better of both.
            named(f"IVF{count},RaBitQfs,RFlat", "IVF RaBitQfs + refine", reranked),
            named(f"RR{dimension},IVF{count},RaBitQfs,RFlat", "IVF RaBitQfs + refine", reranked),
        ]
    return [*kinds, named("HNSW32", "HNSW32", [expansions()])]


def usearch() -> list:
    return [Kind("usearch", kind, kind, {"kind": kind}, [expansions()], can_map=True) for kind in ("f32", "i8")]


def hnswlib() -> list:
    return [Kind("hnswlib", kind, kind, {"kind": kind}, [expansions()]) for kind in ("M16", "M32")]


def probes(lists: int) -> list:
    return [{"probes": count} for count in PROBES if count <= lists]


def expansions() -> list:
    return [{"expansion": count} for count in EXPANSIONS]
