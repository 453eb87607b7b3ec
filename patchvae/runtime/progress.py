"""Progress of long work: a bar on a terminal, plain lines with times in a log."""

import sys
import time
from typing import Any

from patchvae.runtime.launch import rank

LINE_EVERY = 30.0  # seconds between two lines of a log


def log(message: str) -> None:
    """One line on standard error, with the time of day; of several processes the first speaks."""
    if rank() > 0:
        return
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


class Progress:
    """`with Progress("title", total) as progress: progress.update(done, "loss 1.2")`."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total = title, total
        self._bar: Any = None
        self._last = time.monotonic()

    def __enter__(self) -> "Progress":
        if sys.stderr.isatty() and rank() == 0:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task(self.title, total=self.total, note="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, note: str = "") -> None:
        """Show that `done` of the total are done."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, note=note)
        elif done == self.total or time.monotonic() - self._last >= LINE_EVERY:
            self._last = time.monotonic()
            log(f"{self.title}: {done}/{self.total} {note}".rstrip())
