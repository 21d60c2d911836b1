"""Operations whose world is a folder, for tests in which processes die."""

import dataclasses
import os
import time
from pathlib import Path

from runs.operations import Later, Operation, operation


def world():
    folder = Path(os.environ["DATA_DIR"]) / "world" if "WORLD" not in os.environ else Path(os.environ["WORLD"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@operation("test.file")
@dataclasses.dataclass(frozen=True)
class Touch(Operation):
    """Writes a file, slowly; each apply leaves a line in a log."""

    name: str
    seconds: float
    is_batchable = True

    def describe(self):
        return f"Write {self.name}"

    def check(self, context):
        return (world() / self.name).exists()

    def apply(self, context):
        with (world() / f"{self.name}.log").open("a") as log:
            log.write(f"{os.getpid()}\n")
        context.say(f"writing {self.name}")
        time.sleep(self.seconds)
        (world() / self.name).write_text("done")


@operation("test.slow_file")
@dataclasses.dataclass(frozen=True)
class SlowTouch(Touch):
    """The same, in a task of its own."""

    is_batchable = False


@operation("test.elsewhere")
@dataclasses.dataclass(frozen=True)
class Elsewhere(Operation):
    """Something that takes time elsewhere and goes on whatever happens here."""

    name: str
    seconds: float
    is_batchable = True

    def describe(self):
        return f"Have {self.name} done elsewhere"

    def check(self, context):
        begun = world() / self.name
        if not begun.exists():
            return False
        left = float(begun.read_text()) + self.seconds - time.time()
        return Later(min(2.0, left), f"{self.name} is done elsewhere") if left > 0 else True

    def apply(self, context):
        with (world() / f"{self.name}.log").open("a") as log:
            log.write(f"{os.getpid()}\n")
        (world() / self.name).write_text(str(time.time()))
