"""The stages, each from checkpoint to checkpoint."""

import json
import os
import pathlib

import numpy as np
import torch

from . import answer, card, data, export, measure, see
from .log import Log
from .text import TextModel
from .tower import Connector, Tower

BOT_PICTURES = 50


class Run:
    def __init__(self, args, folder: pathlib.Path):
        self.args, self.folder = args, folder
        self.text = self.text_model({"bf16": torch.bfloat16, "f32": torch.float32}[args.product])
        self.tower, self.connector = Tower(), Connector(self.text.width)

    def text_model(self, product: torch.dtype) -> TextModel:
        args = self.args
        return TextModel(args.text_model, args.rank, 2.0 * args.rank, product, args.seed)

    def training(self) -> tuple[data.Split, np.ndarray, np.ndarray]:
        split = data.Split(self.folder / "train")
        rows = np.arange(len(split))
        return split, rows[: -self.args.held_out], rows[-self.args.held_out :]

    def checkpoint(self, stage: str) -> dict | None:
        path = self.args.checkpoints / f"{stage}.pt"
        return torch.load(path, weights_only=True) if path.is_file() else None

    def keep(self, stage: str, state: dict) -> None:
        """Replaces the last checkpoint only once the new one is whole."""
        path = self.args.checkpoints / f"{stage}.pt"
        torch.save(state, path.with_suffix(".new"))
        os.replace(path.with_suffix(".new"), path)

    def log(self, anew: bool) -> Log:
        return Log(self.args.out / "training-log.jsonl", not anew)

    def see(self, resume: bool) -> None:
        model = see.Naming(self.tower, self.connector)
        words = see.words_of(self.text.tokenizer, self.text.embeddings)
        state = self.checkpoint("see") if resume else None
        log = self.log(anew=state is None)
        keep = lambda state: self.keep("see", state)
        see.train(model, words, *self.training(), self.args.see_steps, self.args.seed, log, state, keep)

    def answer(self, resume: bool) -> None:
        state = self.checkpoint("answer") if resume else None
        if state is None:
            seen = self.checkpoint("see")
            if seen is None:
                raise SystemExit(f"no tower in {self.args.checkpoints}: run the stage 'see' first")
            see.Naming(self.tower, self.connector).load_state_dict(seen["model"])
        keep = lambda state: self.keep("answer", state)
        modules = (self.tower, self.connector, self.text)
        steps, log = self.args.answer_steps, self.log(anew=False)
        answer.train(*modules, *self.training(), steps, self.args.seed, log, state, keep)

    def write(self, resume: bool) -> None:
        """From the answering stage's checkpoint, or if there is none, measures the files as they are."""
        args, out = self.args, self.args.out
        state = self.checkpoint("answer")
        # Measured in f32 whatever the training used.
        self.text = self.text_model(torch.float32)
        if state is not None:
            modules = {"tower": self.tower, "connector": self.connector, "text": self.text}
            torch.nn.ModuleDict(modules).load_state_dict(state["model"])
            export.round_to_files(self.tower, self.connector, self.text)
            export.write_tower(out, self.tower, self.connector)
            export.write_adapter(out, self.text)
        export.read_files(out, self.tower, self.connector, self.text)
        if args.peft:
            export.write_peft(args.peft, self.text)
        split = data.Split(self.folder / "test")
        seen = lambda pixels: self.connector(self.tower(pixels))
        measure.write_tower_expected(out, self.tower, self.connector, split)
        measure.write_expected(out, seen, self.text, split)
        log = self.log(anew=False)
        bot, few = answer.SYSTEMS[1], BOT_PICTURES
        asked = {"test": (args.pictures,), "bot": (few, bot), "bot_passage": (few, bot, args.seed)}
        measured = {"strange": measure.strange(seen, self.text)}
        for name, how in asked.items():
            measured[name] = of = measure.measure(seen, self.text, split, *how)
            log.write(stage="write", **{name: {kind: each["accuracy"] for kind, each in of.items()}})
        (args.checkpoints / "measured.json").write_text(json.dumps(measured, indent=1) + "\n")
        parameters = sum(each.numel() for each in (*self.tower.parameters(), *self.connector.parameters()))
        card.write(out, measured, args.held_out, args.rank, parameters, args.note)
