"""The position of a training in epochs and steps, with all that continues it bit for bit."""

import csv
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from patchvae.errors import DivergedError, StoppedError
from patchvae.numerics import parallel
from patchvae.numerics.optim import Optimizer
from patchvae.runtime.checkpoint import StateStore
from patchvae.runtime.launch import rank
from patchvae.runtime.progress import Progress, log
from patchvae.runtime.results import write_text
from patchvae.runtime.stop import StopRequest

Row = dict[str, float]


@dataclass(frozen=True)
class Saving:
    """Where a training keeps its states, what asks it to stop, the seconds between two states."""

    store: StateStore
    stop: StopRequest
    every: float


class Loop:
    """Counts epochs and steps, averages the recorded terms, saves states and stops on request.

    Use: `for epoch in loop.epochs(): for step in loop.steps(): ...; loop.record(loss, terms)`, then
    `loop.end_epoch(row)`. `steps` are those of an epoch. After an interruption both iterators
    continue where the last state was saved: model, optimizers, random generators, averages and
    history are what they were.
    """

    def __init__(
        self,
        title: str,
        module: nn.Module,
        optimizers: Sequence[Optimizer],
        *,
        epochs: int,
        steps: int,
        saving: Saving,
    ) -> None:
        self.title, self.module, self.optimizers = title, module, optimizers
        self.n_epochs, self.n_steps = epochs, steps
        self.saving, self.stop = saving, saving.stop
        self.epoch, self.step = 0, 0
        self.names: list[str] = []  # of the recorded terms
        self.totals: Tensor | None = None  # (1 + K,), loss and terms, summed over the epoch's steps
        self.broken: Tensor | None = None  # (2 + K,), step, loss and terms where it first diverged
        self.history: list[Row] = []
        self.kept: dict[str, Tensor] = {}  # what the training sets aside, on the CPU
        self._saved = time.monotonic()

    @property
    def done(self) -> int:
        """Optimiser steps completed since the beginning."""
        return self.epoch * self.n_steps + self.step

    def resume(self) -> None:
        """Continue from the newest whole state, if there is one."""
        state = self.saving.store.load(warn=log)
        if state is None:
            return
        self.module.load_state_dict(state["module"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.epoch, self.step = state["epoch"], state["step"]
        self.names, self.history, self.kept = state["names"], state["history"], state["kept"]
        if state["totals"] is not None:
            self.totals = state["totals"].to(next(self.module.parameters()).device)
        torch.set_rng_state(state["rng"])
        if "cuda_rng" in state:
            torch.cuda.set_rng_state(state["cuda_rng"])
        log(f"{self.title}: continuing at epoch {self.epoch + 1}, step {self.step}")

    def save(self) -> None:
        """Write the state at this step boundary, the same on every rank.

        DivergedError instead when the loss is not finite.
        """
        self._check()
        self._saved = time.monotonic()
        if rank() > 0:
            return
        state: dict[str, Any] = {
            "module": self.module.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "epoch": self.epoch,
            "step": self.step,
            "names": self.names,
            "totals": self.totals,
            "history": self.history,
            "kept": self.kept,
            "rng": torch.get_rng_state(),
        }
        if torch.cuda.is_available():
            state["cuda_rng"] = torch.cuda.get_rng_state()
        self.saving.store.save(self.done, state)
        self._saved = time.monotonic()

    def epochs(self) -> Iterator[int]:
        """The epochs that remain; a stop after the last one still leaves a state, not a result."""
        with Progress(self.title, self.n_epochs * self.n_steps) as self.progress:
            self.stop.defer()
            while self.epoch < self.n_epochs:
                yield self.epoch
            self._stop_if_asked()

    def steps(self) -> Iterator[int]:
        """The steps of this epoch that remain; saves or stops between two of them."""
        while self.step < self.n_steps:
            yield self.step
            self.step += 1
            self.progress.update(self.done)
            self._between_steps()

    def _stop_if_asked(self) -> None:
        if parallel.anywhere(bool(self.stop)):
            self.save()
            parallel.wait()  # a rank that ended before the state is written would end the others
            raise StoppedError(
                f"{self.title}: stopped by {self.stop.name or 'a signal'} with its state saved "
                "at epoch"
                f" {self.epoch + 1}, step {self.step}; run the same command to continue"
            )

    def _between_steps(self) -> None:
        self._stop_if_asked()
        if time.monotonic() - self._saved >= self.saving.every:
            self.save()

    @torch.no_grad()
    def record(self, loss: Tensor, terms: dict[str, Tensor]) -> None:
        """Add a step's terms to the epoch's averages; DivergedError when the loss is not finite.

        On a GPU nothing waits for the step: a loss that is not finite is noted there, with its step
        and terms, and found when a state is saved or the epoch ends.
        """
        now = torch.stack([loss, *terms.values()])  # (1 + K,)
        self.names = list(terms)
        self.totals = now if self.totals is None else self.totals + now
        seen = torch.cat([now.new_full((1,), self.step), now])
        if self.broken is None:
            self.broken = torch.full_like(seen, -1)
        first = ~loss.isfinite() & (self.broken[0] < 0)
        self.broken = torch.where(first, seen, self.broken)
        if loss.device.type == "cpu":
            self._check()

    def _check(self) -> None:
        """DivergedError when a recorded loss was not finite."""
        if self.broken is None or self.broken[0] < 0:
            return
        step, loss, *values = self.broken.tolist()
        terms = ", ".join(
            f"{name} {value:.4g}" for name, value in zip(self.names, values, strict=True)
        )
        raise DivergedError(
            f"{self.title}: loss is {loss} at epoch {self.epoch + 1}, step {step:.0f} ({terms});"
            " lower the learning rate or look at the data"
        )

    def end_epoch(self, row: Row) -> None:
        """Close the epoch: its averages and `row` join the history.

        DivergedError when the last step, whose loss nobody computes, broke the weights.
        """
        self._check()
        for name, value in self.module.state_dict().items():
            if not torch.isfinite(value).all():
                raise DivergedError(
                    f"{self.title}: {name} is not finite after epoch {self.epoch + 1};"
                    " lower the learning rate or look at the data"
                )
        assert self.totals is not None
        totals = zip(self.names, self.totals.tolist()[1:], strict=True)
        means = {name: total / self.n_steps for name, total in totals}
        self.history.append({"epoch": self.epoch + 1, **means, **row})
        self.epoch, self.step, self.totals = self.epoch + 1, 0, None


def write_history(path: Path, history: list[Row]) -> None:
    """The epochs' rows as csv; an empty file for a trunk that was not trained."""
    buffer = io.StringIO()
    if history:
        writer = csv.DictWriter(buffer, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
    write_text(path, buffer.getvalue())
