"""The easy-VQA package's pictures and questions, and how pictures are varied for training."""

import importlib.util
import json
import pathlib

import numpy as np
from PIL import Image

SHAPES = ["circle", "rectangle", "triangle"]
COLOURS = ["black", "blue", "brown", "gray", "green", "red", "teal", "yellow"]
SIZE = 64
UNKNOWN = -1
# Share of pictures that are turned in training. All of the package's triangles stand upright.
TURNED = 0.3


def kind_of(question: str) -> str:
    """The kind of a question. The model card gives this rule in words; whoever counts accuracy by
    kind has to follow it."""
    words = question.lower().replace("?", " ").split()
    if words[:1] == ["what"]:
        return "what-colour" if "color" in words else "what-shape"
    about = "shape" if any(shape in words for shape in SHAPES) else "colour"
    return f"{about}-negated" if "not" in words or "no" in words else about


def package_data() -> pathlib.Path:
    """The data folder of the installed package."""
    spec = importlib.util.find_spec("easy_vqa")
    if spec is None or spec.origin is None:
        raise SystemExit("easy-vqa is not installed: pip install easy-vqa==1.0, or give --data")
    return pathlib.Path(spec.origin).parent / "data"


class Split:
    """The pictures of one split with their questions, and what the questions tell of each."""

    def __init__(self, folder: pathlib.Path):
        listing = folder / "questions.json"
        if not listing.is_file():
            raise SystemExit(f"{listing} is missing: --data must name easy-vqa's data folder")
        # In the order of the file: (question, answer, picture).
        self.listed = [tuple(entry) for entry in json.loads(listing.read_text())]
        self.ids = sorted({picture for _, _, picture in self.listed})
        row = {picture: at for at, picture in enumerate(self.ids)}
        self.questions: list[list[tuple[str, str]]] = [[] for _ in self.ids]
        self.listed_at: list[list[int]] = [[] for _ in self.ids]
        for at, (question, answer, picture) in enumerate(self.listed):
            self.questions[row[picture]].append((question, answer))
            self.listed_at[row[picture]].append(at)
        self.pixels = np.stack([read_picture(folder / "images" / f"{i}.png") for i in self.ids])
        self.shapes = np.array([told(of, SHAPES, "what-shape", "shape") for of in self.questions])
        self.colours = np.array([told(of, COLOURS, "what-colour", "colour") for of in self.questions])

    def __len__(self) -> int:
        return len(self.ids)


def read_picture(path: pathlib.Path) -> np.ndarray:
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    if pixels.shape != (SIZE, SIZE, 3):
        raise SystemExit(f"{path} is {pixels.shape[1]} x {pixels.shape[0]} pixels, not {SIZE} x {SIZE}")
    return pixels


def told(questions: list[tuple[str, str]], names: list[str], asked: str, named: str) -> int:
    """Which of `names` the answers tell: by a question for it, or by a yes. UNKNOWN if none does."""
    for question, answer in questions:
        kind = kind_of(question)
        if kind == asked:
            return names.index(answer)
        denied = kind == f"{named}-negated"
        if (kind == named and answer == "yes") or (denied and answer == "no"):
            words = question.replace("?", " ").split()
            return next(at for at, name in enumerate(names) if name in words)
    return UNKNOWN


def covered_by_shape(pixels: np.ndarray) -> np.ndarray:
    """Which pixels are not background, the colour that most corners have."""
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
    values, counts = np.unique(corners, axis=0, return_counts=True)
    return (pixels != values[counts.argmax()]).any(axis=2)


def vary(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture mirrored, at times turned by quarters, and moved. The background is of one colour and the
    shape lies inside, so what leaves at one side and comes in at the other is background."""
    if rng.random() < TURNED:
        pixels = np.rot90(pixels, rng.integers(4))
    if rng.integers(2):
        pixels = pixels[:, ::-1]
    shape = covered_by_shape(pixels)
    shifts = []
    for axis in (0, 1):
        covered = np.flatnonzero(shape.any(axis=1 - axis))
        first, last = (covered[0], covered[-1]) if len(covered) else (0, SIZE - 1)
        shifts.append(int(rng.integers(-first, SIZE - last)))
    return np.roll(pixels, shifts, axis=(0, 1))
