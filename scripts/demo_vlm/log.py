"""The training log: one JSON object a line, also shown on the terminal."""

import json
import pathlib
import time


class Log:
    def __init__(self, path: pathlib.Path, resume: bool):
        self.file = path.open("a" if resume else "w")
        self.started = time.monotonic()

    def write(self, **entry) -> None:
        rounded = {k: round(v, 5) if isinstance(v, float) else v for k, v in entry.items()}
        line = json.dumps({**rounded, "s": round(time.monotonic() - self.started)})
        print(line, flush=True)
        self.file.write(line + "\n")
        self.file.flush()
