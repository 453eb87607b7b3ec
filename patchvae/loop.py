"""The position of a training in epochs and steps, with all that continues it bit for bit."""

import csv
import io
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from patchvae import parallel
from patchvae.checkpoint import StateStore
from patchvae.errors import DivergedError, StoppedError
from patchvae.optim import Optimizer
from patchvae.progress import Progress, log
from patchvae.results import write_text
from patchvae.runtime import StopRequest, rank

Row = dict[str, float]


class Loop:
    """Counts epochs and steps, averages the recorded terms, saves states and stops on request.

    `size` is epochs and steps an epoch. Use: `for epoch in loop.epochs(): for step in loop.steps(): ...; loop.record(loss, terms)`, then
    `loop.end_epoch(row)`. After an interruption both iterators continue where the last state was
    saved: model, optimizers, random generators, averages and history are what they were.
    """

    def __init__(
        self,
        title: str,
        module: nn.Module,
        optimizers: Sequence[Optimizer],
        size: tuple[int, int],
        store: StateStore,
        stop: StopRequest,
        save_every: float,
    ) -> None:
        self.title, self.module, self.optimizers = title, module, optimizers
        self.n_epochs, self.n_steps = size
        self.store, self.stop, self.save_every = store, stop, save_every
        self.epoch, self.step = 0, 0
        self.totals: dict[str, Tensor] = {}
        self.history: list[Row] = []
        self._saved = time.monotonic()

    @property
    def done(self) -> int:
        """Optimiser steps completed since the beginning."""
        return self.epoch * self.n_steps + self.step

    def resume(self) -> None:
        """Continue from the newest whole state, if there is one."""
        state = self.store.load(warn=log)
        if state is None:
            return
        self.module.load_state_dict(state["module"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.epoch, self.step = state["epoch"], state["step"]
        self.totals, self.history = state["totals"], state["history"]
        torch.set_rng_state(state["rng"])
        if "cuda_rng" in state:
            torch.cuda.set_rng_state(state["cuda_rng"])
        log(f"{self.title}: continuing at epoch {self.epoch + 1}, step {self.step}")

    def save(self) -> None:
        """Write the state at this step boundary, the same on every rank."""
        self._saved = time.monotonic()
        if rank() > 0:
            return
        state: dict[str, Any] = {
            "module": self.module.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "epoch": self.epoch,
            "step": self.step,
            "totals": self.totals,
            "history": self.history,
            "rng": torch.get_rng_state(),
        }
        if torch.cuda.is_available():
            state["cuda_rng"] = torch.cuda.get_rng_state()
        self.store.save(self.done, state)
        self._saved = time.monotonic()

    def epochs(self) -> Iterator[int]:
        """The epochs that remain."""
        with Progress(self.title, self.n_epochs * self.n_steps) as self.progress:
            while self.epoch < self.n_epochs:
                yield self.epoch

    def steps(self) -> Iterator[int]:
        """The steps of this epoch that remain; saves or stops between two of them."""
        while self.step < self.n_steps:
            yield self.step
            self.step += 1
            self.progress.update(self.done)
            self._between_steps()

    def _between_steps(self) -> None:
        if parallel.anywhere(bool(self.stop)):
            self.save()
            parallel.wait()  # a rank that ends before the state is written would have the others ended
            raise StoppedError(
                f"{self.title}: stopped by {self.stop.name or 'a signal'} with its state saved at epoch"
                f" {self.epoch + 1}, step {self.step}; run the same command to continue"
            )
        if time.monotonic() - self._saved >= self.save_every:
            self.save()

    def record(self, loss: Tensor, terms: dict[str, Tensor]) -> None:
        """Add a step's terms to the epoch's averages; DivergedError when the loss is not finite."""
        if not math.isfinite(loss.item()):
            values = ", ".join(f"{name} {term.item():.4g}" for name, term in terms.items())
            raise DivergedError(
                f"{self.title}: loss is {loss.item()} at epoch {self.epoch + 1}, step {self.step}"
                f" ({values}); lower the learning rate or look at the data"
            )
        for name, term in terms.items():
            term = term.detach()
            self.totals[name] = self.totals[name] + term if name in self.totals else term

    def end_epoch(self, row: Row) -> None:
        """Close the epoch: its averages and `row` join the history.

        DivergedError when the last step, whose loss nobody computes, broke the weights.
        """
        for name, value in self.module.state_dict().items():
            if not torch.isfinite(value).all():
                raise DivergedError(
                    f"{self.title}: {name} is not finite after epoch {self.epoch + 1};"
                    " lower the learning rate or look at the data"
                )
        means = {name: total.item() / self.n_steps for name, total in self.totals.items()}
        self.history.append({"epoch": self.epoch + 1, **means, **row})
        self.epoch, self.step, self.totals = self.epoch + 1, 0, {}


def write_history(path: Path, history: list[Row]) -> None:
    """The epochs' rows as csv; an empty file for a trunk that was not trained."""
    buffer = io.StringIO()
    if history:
        writer = csv.DictWriter(buffer, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
    write_text(path, buffer.getvalue())
