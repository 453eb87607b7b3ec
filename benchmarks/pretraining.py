"""Claim: pretraining is 1.3 to 1.6 times the plain baseline, at 92 to 103 % of the matmul rate.

    python benchmarks/pretraining.py [MODEL ...]

Total images a second on two cores, batches of 128 of CIFAR100's shape. A: two processes of one
thread side by side, as Snakemake runs jobs on a laptop. B: benchmarks/baseline.py in one process of
two threads, with as many loader workers as are fastest for it, tried out first. A and B take turns;
the rate of the machine is that of fp32 matrix products by two processes of one thread, at their
fastest size; FLOP an image are those of torch.utils.flop_counter. For a model below the aims, 1.9
times and 70 %, a profile of A follows that tells where the time goes. All figures, hardware and n:
docs/cost.md.
"""

import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from statistics import median

import torch
from baseline import Pictures, Pretraining, batches, repeated
from common import (
    Rates,
    Steps,
    Timing,
    arguments,
    example,
    head,
    random_pixels,
    ratios,
    row,
    spread,
)
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from patchvae.data.tensors import Images
from patchvae.models import build
from patchvae.numerics.memory import keep_freed_memory
from patchvae.numerics.optim import Adam
from patchvae.training.phases import update

B, LR, IMAGES = 128, 1e-4, 5_120
FAMILIES = (
    "beta-vae", "beta-vae-lw", "beta-vae-gan", "patchvae", "patchvae-lw", "patchvae-gan", "bigan",
)  # fmt: skip
RATIO, SHARE = 1.9, 0.7  # aims
SIZES = (1024, 2048, 3072)  # of the matrices
WORKERS = (0, 1, 2)  # of the baseline's loader


def ours(name: str, precision: str = "fp32") -> Steps:
    """A step of the suite's own pretraining."""
    keep_freed_memory()
    torch.manual_seed(0)
    model = build(example(name)).to(memory_format=torch.channels_last).train()
    phases = model.phases()
    optimizers = [Adam(phase.parameters, LR, (0.9, 0.999)) for phase in phases]
    images = Images(random_pixels(IMAGES))
    done = 0

    def step() -> int:
        nonlocal done
        index = torch.randint(IMAGES, (B,))
        model.at_step(done)
        done += 1
        loss, _ = update(phases, optimizers, images.batch(index, index % 2 == 0), precision)
        loss.item()
        return B

    return {"train": step}


def plain(name: str, workers: int) -> Steps:
    """The same by the baseline."""
    torch.manual_seed(0)
    training = Pretraining(build(example(name)), LR)
    pixels = random_pixels(IMAGES).numpy()
    pictures = Pictures(pixels, pixels[:, 0, 0, 0], flip=True)
    return {"train": repeated(batches(pictures, B, workers), lambda x, _: training.step(x))}


def products() -> Steps:
    """fp32 matrix products by their size, with their FLOP in place of images."""

    def product(n: int) -> int:
        torch.mm(factors[n], factors[n])
        return 2 * n**3

    factors = {n: torch.randn(n, n) for n in SIZES}
    return {str(n): partial(product, n) for n in SIZES}


def flop(name: str) -> float:
    """FLOP an image of a step, forward and backward."""
    step = ours(name)["train"]
    with FlopCounterMode(display=False) as counter:
        images = step()
    return counter.get_total_flops() / images


def matmul_rate(timing: Timing) -> float:
    """FLOP a second of all processes: the largest median over the sizes."""
    with timing.ours(products) as side:
        found = [timing.a_third().interleave({n: side}, str(n))[n] for n in SIZES]
    return max(median(rates) for rates in found)


def fastest_workers(name: str, timing: Timing) -> int:
    """How many loader workers serve the baseline best."""
    with ExitStack() as stack:
        sides = {n: stack.enter_context(timing.plain(plain, name, workers=n)) for n in WORKERS}
        found = timing.interleave(sides, "train")
    for n, rates in found.items():
        row(f"baseline, {n} workers", spread(rates))
    return max(found, key=lambda n: median(found[n]))


def measure(name: str, workers: int, timing: Timing) -> dict[str, Rates]:
    """Images a second of both sides, `ours` and `plain`."""
    with timing.ours(ours, name) as a, timing.plain(plain, name, workers=workers) as b:
        return timing.interleave({"ours": a, "plain": b}, "train")


def explain(name: str) -> None:
    """Where the CPU time of a step goes, by operator, on one thread."""
    torch.set_num_threads(1)
    step = ours(name)["train"]
    step()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(3):
            step()
    events = profiler.key_averages()
    events.sort(key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    for event in events[:10]:
        print(f"    {event.self_cpu_time_total / total:6.1%}  {event.key}", flush=True)


def main() -> None:
    parser = arguments(seconds=3.0)
    parser.add_argument("models", nargs="*", default=FAMILIES, metavar="MODEL")
    parser.add_argument("--workers", type=int, help="of the baseline's loader [the fastest]")
    chosen = parser.parse_args()
    head(__doc__, chosen.rounds)
    begun, timing = time.monotonic(), Timing.chosen(chosen)
    workers = 0 if timing.alone else chosen.workers
    if workers is None:
        workers = fastest_workers(chosen.models[0], replace(timing, rounds=3))
    peak = matmul_rate(timing)
    print(f"fp32 matrix products: {peak / 1e9:.0f} GFLOP/s; baseline with {workers} workers")
    row("images/s", "ours", "plain", "ratio", "MFLOP an image", "of the matmul rate")
    for name in chosen.models:
        rates, cost = measure(name, workers, timing), flop(name)
        share, ratio = median(rates["ours"]) * cost / peak, ratios(**rates)
        cells = (spread(rates["ours"]), spread(rates["plain"]), spread(ratio, ".2f"))
        row(name, *cells, f"{cost / 1e6:.0f}", f"{share:.0%}")
        if median(ratio) < RATIO or share < SHARE:
            explain(name)
    print(f"{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
