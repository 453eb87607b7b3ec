"""Claim: patchvae/planning/throughput.yaml holds what one device does, in images a second.

Running this prints those of one device, for that file or for `patchvae forecast --rates`:

    python benchmarks/throughput.py --device cpu --sizes 32 64 > rates.yaml
    python benchmarks/throughput.py --device cuda --sizes 32 64 224 > rates.yaml

The first takes five minutes of one thread.

Each rate is the slowest, the median and the fastest of `--repeat` timings of `--steps` steps with
the paper's networks, after three steps of warming up. On a CPU the process's own CPU time counts,
so that other work on the machine matters little; on a GPU the wall time does.

    python benchmarks/throughput.py --device cuda --sizes 32 --batch 128 --steps 50 --packing 1 2 4

prints instead what so many PatchVAE pretrainings at a time on that one device get done together, by
wall time, as a multiple of what one does alone: the line `packing` of a device.
"""

import argparse
import multiprocessing
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
import yaml
from common import SIZES, example, random_pixels

from patchvae.data.tensors import Images
from patchvae.models import build
from patchvae.models.classifier import Classifier
from patchvae.models.trunk import Trunk
from patchvae.numerics.memory import keep_freed_memory
from patchvae.numerics.optim import SGD, Adam
from patchvae.planning.throughput import CPU, GPU
from patchvae.planning.throughput import device as ours
from patchvae.runtime.machine import provenance
from patchvae.study.registry import ARCHITECTURES, DATASETS, MODELS, PROBES
from patchvae.training.phases import update

Step = Callable[[], Any]
WARM_UP = 3


class Clock:
    """Seconds: CPU time of this process on a CPU, wall time after synchronising on a GPU."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __call__(self) -> float:
        if self.device.type == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()


def rates(step: Step, batch: int, steps: int, repeat: int, clock: Clock) -> list[float]:
    """Slowest, median, fastest images a second, after enough steps to warm up."""
    for _ in range(WARM_UP):
        step()
    found = []
    for _ in range(repeat):
        begun = clock()
        for _ in range(steps):
            step()
        found.append(batch * steps / (clock() - begun))
    return [float(f"{rate:.4g}") for rate in (min(found), median(found), max(found))]


def random_images(n: int, size: int, device: torch.device) -> Images:
    return Images(random_pixels(n, size).to(device))


def pretraining(size: int, model: str, images: Images) -> tuple[Step, int]:
    """One step of pretraining, flips and scaling included, and the bytes that the run leaves."""
    device = images.pixels.device
    network = build(example(model, size)).to(device).to(memory_format=torch.channels_last).train()
    phases = network.phases()
    optimizers = [Adam(phase.parameters, 1e-4, (0.9, 0.999)) for phase in phases]
    index = torch.arange(len(images), device=device)

    def step() -> None:
        loss, _ = update(phases, optimizers, images.batch(index, index % 2 == 0))
        loss.item()

    trunk = sum(t.numel() * t.element_size() for t in network.trunk.state_dict().values())
    whole = sum(t.numel() * t.element_size() for t in network.state_dict().values())
    return step, trunk + whole


def probing(size: int, probe: str, images: Images) -> Iterator[tuple[str, Step]]:
    """The three kinds of step of a probe: the frozen stages, training the rest, evaluating it."""
    device, facts = images.pixels.device, DATASETS[SIZES[size]]
    trunk = Trunk(str(example("patchvae", size).model["trunk"]))
    classifier = Classifier(trunk, PROBES[probe].frozen, size, facts.classes)
    classifier = classifier.to(device).to(memory_format=torch.channels_last)
    weights = [p for p in classifier.parameters() if p.requires_grad]
    optimizer = SGD(weights, 1e-2, 0.9)
    index = torch.arange(len(images), device=device)
    labels = index % facts.classes

    @torch.no_grad()
    def prefix() -> torch.Tensor:
        return classifier.prefix(images.batch(index))

    features = prefix()

    def train() -> None:
        classifier.train()
        loss = F.cross_entropy(classifier(features), labels)
        optimizer.step(torch.autograd.grad(loss, optimizer.parameters))
        loss.item()

    @torch.no_grad()
    def evaluate() -> None:
        classifier.eval()
        classifier(features).argmax(1).cpu()

    yield from (("prefix", prefix), ("train", train), ("evaluate", evaluate))


def measure(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """The tables of a device: part -> size -> model or probe -> rates, and `weights`."""
    clock, timing = Clock(device), (options.batch, options.steps, options.repeat)
    parts = ("pretrain", "prefix", "train", "evaluate", "weights")
    found: dict[str, Any] = {part: {size: {} for size in options.sizes} for part in parts}
    for size in options.sizes:
        images = random_images(options.batch, size, device)
        for model, facts in MODELS.items():
            if ARCHITECTURES[facts.architecture].trained:
                step, found["weights"][size][model] = pretraining(size, model, images)
                found["pretrain"][size][model] = rates(step, *timing, clock)
        for probe in (name for name, facts in PROBES.items() if not facts.about):
            for part, step in probing(size, probe, images):
                found[part][size][probe] = rates(step, *timing, clock)
    return found


def _beside(options: argparse.Namespace, barrier: Any, rates_of_all: Any) -> None:
    """One of several trainings at a time: its rate in each timing goes into the queue."""
    torch.set_num_threads(1)
    keep_freed_memory()
    device, size = torch.device(options.device), options.sizes[0]
    step, _ = pretraining(size, "patchvae", random_images(options.batch, size, device))
    for _ in range(WARM_UP):
        step()
    found = []
    for _ in range(options.repeat):
        barrier.wait()
        begun = time.perf_counter()
        for _ in range(options.steps):
            step()  # reads its loss on the host, so it ends when the device is done
        found.append(options.batch * options.steps / (time.perf_counter() - begun))
    rates_of_all.put(found)


def together(options: argparse.Namespace, runs: int) -> float:
    """Images a second of `runs` trainings at a time, in all: the median of the timings."""
    spawn = multiprocessing.get_context("spawn")
    barrier, queue = spawn.Barrier(runs, timeout=300), spawn.Queue()
    workers = [spawn.Process(target=_beside, args=(options, barrier, queue)) for _ in range(runs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit(f"a training of {runs} at a time failed: see its error above")
    timings = zip(*(queue.get() for _ in workers), strict=True)
    return median(sum(timing) for timing in timings)


def packing(options: argparse.Namespace) -> dict[str, dict[int, float]]:
    """`packing` of throughput.yaml: trainings at a time -> their total rate, one alone being 1."""
    alone = together(options, 1)
    gains = {runs: together(options, runs) / alone for runs in options.packing if runs > 1}
    return {"packing": {runs: round(gain, 2) for runs, gain in gains.items()}}


def entry(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """The device as `patchvae forecast --rates` reads it; what no image takes is as in our file."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else CPU
    known, found = ours(CPU if device.type == "cpu" else GPU), measure(options, device)
    weights = found.pop("weights")
    facts = {
        "match": name.lower(),
        "hardware": f"{hardware(device)}, torch {torch.__version__}, batches of {options.batch}",
        "measured": True,
        "n": options.repeat,
        "date": str(datetime.now(UTC).date()),
        "start": known.start,
        "inside": known.inside,
    }
    slug = re.sub("[^a-z0-9]+", "-", name.lower())
    return {"devices": {slug: facts | found}, "weights": weights}


def hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name()
    return f"one thread of an {provenance('')['host']['cpu']}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--packing", type=int, nargs="+", help="trainings at a time on the device")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    device = torch.device(options.device)
    found = packing(options) if options.packing else entry(options, device)
    print(yaml.safe_dump(found, default_flow_style=None, sort_keys=False), end="")


if __name__ == "__main__":
    main()
