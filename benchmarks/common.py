"""What the benchmarks share: the paper's configurations, processes that work on request, printing."""

import argparse
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any

import torch
from torch import Tensor

from patchvae.config import load_study
from patchvae.runs import PretrainConfig, Run, resolve_run, variant_of
from patchvae.runtime import provenance

CORES = 2  # the suite runs so many processes of one thread, the baseline one process of so many
SIZES = {32: "cifar100", 64: "indoor67", 224: "imagenet"}  # a dataset of the paper for each side
Step = Callable[[], int]  # does something once and says with how many images
Rates = dict[str, list[float]]  # side -> images a second of each round


def example(model: str, size: int = 32) -> PretrainConfig:
    """The paper's configuration of a model for images of one size."""
    variant = variant_of(load_study("paper"), SIZES[size], model, {})
    return resolve_run(Run("paper", SIZES[size], model, variant, 0))


def random_pixels(n: int, size: int = 32) -> Tensor:
    """uint8 (n, size, size, 3), the same for all who ask."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, size, size, 3), dtype=torch.uint8, generator=generator)


class Worker:
    """A process of its own that makes a step once, then repeats it for some seconds when told to.

    `make(*arguments)` runs there, with `threads` threads, and must be importable.
    """

    def __init__(self, threads: int, make: Callable[..., Step], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, threads, make, arguments))
        self.process.start()
        theirs.close()
        self.pipe.recv()  # the step is made and was done once

    def start(self, seconds: float) -> None:
        self.pipe.send(seconds)

    def rate(self) -> float:
        """Images a second of the last `start`."""
        return self.pipe.recv()

    def close(self) -> None:
        self.pipe.send(None)
        self.process.join()


def _serve(pipe: Any, threads: int, make: Callable[..., Step], arguments: Sequence[Any]) -> None:
    torch.set_num_threads(threads)
    step = make(*arguments)
    step()
    pipe.send("ready")
    while (seconds := pipe.recv()) is not None:
        pipe.send(rate(step, seconds))


def rate(step: Step, seconds: float, clock: Callable[[], float] = time.perf_counter) -> float:
    """Images a second of whole steps until so many seconds have passed."""
    begun, images = clock(), 0
    while (passed := clock() - begun) < seconds or not images:
        images += step()
    return images / passed


def together(workers: Sequence[Worker], seconds: float) -> float:
    """Images a second of all workers at the same time."""
    for worker in workers:
        worker.start(seconds)
    return sum([worker.rate() for worker in workers])


def interleave(sides: dict[str, Sequence[Worker]], rounds: int, seconds: float) -> Rates:
    """A B A B ...: the sides' rates by turns, after one turn that does not count."""
    found: Rates = {side: [] for side in sides}
    for turn in range(rounds + 1):
        for side, workers in sides.items():
            measured = together(workers, seconds if turn else seconds / 3)
            if turn:
                found[side].append(measured)
    return found


def compare(ours: tuple[Any, ...], plain: tuple[Any, ...], rounds: int, seconds: float) -> Rates:
    """Rates of `ours` by one-thread processes side by side and of `plain` by one process, interleaved.

    Each side is a function that makes its step, then that function's arguments.
    """
    a = [Worker(1, *ours) for _ in range(CORES)]
    b = [Worker(CORES, *plain)]
    try:
        return interleave({"ours": a, "plain": b}, rounds, seconds)
    finally:
        for worker in (*a, *b):
            worker.close()


def ratios(rates: Rates) -> list[float]:
    """Ours over plain, round by round."""
    return [a / b for a, b in zip(rates["ours"], rates["plain"], strict=True)]


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
    return parser
