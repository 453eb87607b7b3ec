"""What the benchmarks share: the paper's configurations, processes on request, printing."""

import argparse
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import median
from typing import Any, TypeVar

import torch
from torch import Tensor

from patchvae.runtime.machine import provenance
from patchvae.study.config import load_study
from patchvae.study.runs import PretrainConfig, Run, resolve_run
from patchvae.study.variants import variant_of

CORES = 2  # the suite runs so many processes of one thread, the baseline one process of so many
SIZES = {32: "cifar100", 64: "indoor67", 224: "imagenet"}  # a dataset of the paper for each side
Step = Callable[[], int]  # does something once and says with how many images
Steps = dict[str, Step]
Rates = list[float]  # images a second, round by round
S = TypeVar("S")


def example(model: str, size: int = 32) -> PretrainConfig:
    """The paper's configuration of a model for images of one size."""
    variant = variant_of(load_study("paper"), SIZES[size], model, {})
    return resolve_run(Run("paper", SIZES[size], model, variant, 0))


def random_pixels(n: int, size: int = 32) -> Tensor:
    """uint8 (n, size, size, 3), the same for all who ask."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, size, size, 3), dtype=torch.uint8, generator=generator)


@dataclass(frozen=True)
class Timing:
    """How often and how long each side works by turns.

    Processes side by side, and threads, are timed by the wall clock, which is right on an idle
    machine. `alone` is for a busy one: either side is one process of one thread, without loader
    workers, timed by its CPU time.
    """

    rounds: int
    seconds: float
    alone: bool = False

    @classmethod
    def chosen(cls, options: argparse.Namespace) -> "Timing":
        return cls(options.rounds, options.seconds, options.alone)

    def a_third(self) -> "Timing":
        """For what matters less."""
        return replace(self, seconds=self.seconds / 3)

    def ours(self, make: Callable[..., Steps], *arguments: Any) -> "Side":
        """Processes of one thread side by side, as Snakemake runs jobs on a laptop."""
        return Side((1 if self.alone else CORES, 1, self.alone), make, *arguments)

    def plain(self, make: Callable[..., Steps], *arguments: Any, workers: int) -> "Side":
        """One process with all cores; `make` takes the number of loader workers last."""
        size = (1, 1 if self.alone else CORES, self.alone)
        return Side(size, make, *arguments, 0 if self.alone else workers)

    def interleave(self, sides: "Mapping[S, Side]", name: str) -> dict[S, Rates]:
        """A B A B ...: the sides' rates of one step, after a short turn that does not count."""
        for side in sides.values():
            side.rate(name, self.seconds / 3)
        turns = [
            {which: side.rate(name, self.seconds) for which, side in sides.items()}
            for _ in range(self.rounds)
        ]
        return {which: [turn[which] for turn in turns] for which in sides}


class Side:
    """Processes that make their steps once, then repeat one for some seconds when told to.

    `size` is the number of processes, the threads of each, and whether CPU time is what counts.
    `make(*arguments)` runs in each of them, must be importable and gives the steps by name. A
    context manager: the processes end with it.
    """

    def __init__(
        self, size: tuple[int, int, bool], make: Callable[..., Steps], *arguments: Any
    ) -> None:
        processes, *how = size
        context = multiprocessing.get_context("spawn")
        self.pipes, self.processes = [], []
        for _ in range(processes):
            pipe, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, *how, make, arguments))
            process.start()
            theirs.close()
            self.pipes.append(pipe)
            self.processes.append(process)

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *_: object) -> None:
        for pipe, process in zip(self.pipes, self.processes, strict=True):
            pipe.close()
            process.join()

    def rate(self, name: str, seconds: float) -> float:
        """Images a second of all processes at the same time."""
        for pipe in self.pipes:
            pipe.send((name, seconds))
        return sum([pipe.recv() for pipe in self.pipes])


def _serve(
    pipe: Any, threads: int, cpu_time: bool, make: Callable[..., Steps], arguments: Sequence[Any]
) -> None:
    torch.set_num_threads(threads)
    clock = time.process_time if cpu_time else time.perf_counter
    steps = make(*arguments)
    with suppress(EOFError):
        while True:
            name, seconds = pipe.recv()
            pipe.send(rate(steps[name], seconds, clock))


def rate(step: Step, seconds: float, clock: Callable[[], float] = time.perf_counter) -> float:
    """Images a second of whole steps until so many seconds have passed."""
    begun, images = clock(), 0
    while (passed := clock() - begun) < seconds or not images:
        images += step()
    return images / passed


def ratios(ours: Rates, plain: Rates) -> Rates:
    """Ours over plain, round by round."""
    return [a / b for a, b in zip(ours, plain, strict=True)]


def spread(values: Iterable[float], form: str = ",.0f") -> str:
    """Median and range: `480 (471-492)`."""
    values = list(values)
    low, mid, high = (format(v, form) for v in (min(values), median(values), max(values)))
    return f"{mid} ({low}-{high})"


def row(name: str, *cells: str) -> None:
    """One line of a table, at once."""
    print(f"{name:<22}" + "".join(f"{cell:>24}" for cell in cells), flush=True)


def head(script: str | None, rounds: int) -> None:
    """The script's claim, and where and how it is being put to the test."""
    assert script is not None
    host = provenance("")["host"]
    print(script.splitlines()[0])
    print(f"$ {' '.join(['python', *sys.argv])}    n = {rounds}, {datetime.now(UTC).date()}")
    print(
        f"{host['cores']} cores of {host['cpu']}, Python {platform.python_version()}, torch"
        f" {torch.__version__}; load of other work before the start {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def arguments(seconds: float, rounds: int = 5) -> argparse.ArgumentParser:
    """Options that every benchmark has."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=rounds, help=f"of A B [{rounds}]")
    parser.add_argument("--seconds", type=float, default=seconds, help=f"each [{seconds:g}]")
    parser.add_argument(
        "--alone",
        action="store_true",
        help="one process of one thread on either side, by CPU time: for a busy machine",
    )
    return parser
