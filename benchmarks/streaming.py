"""Claim: one core reads 180,000 images of 64 x 64 a second from the page cache, cold 41,000.

    python benchmarks/streaming.py [--sizes 64 224] [--device cuda]

Batches of 128 in random order from a file of random bytes, by patchvae.data.tensors as training
reads Places205 and ImageNet. `warm`: the file lies in the system's page cache; `cold`: the system
was told to forget it before every timing, so the disk is read. The file (1.2 GB at 64 x 64, 1.5 GB
at 224 x 224) is smaller than the memory, so the cache of a set that is larger than memory lies
between the two. `read` ends with the bytes on the device, which is what one core can feed a GPU;
`batch` also mirrors and scales, on the device; `train` is PatchVAE's step on a batch in memory. One
thread; wall time, so a busy machine shows. Figures, hardware and n: docs/cost.md.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from common import Step, example, head, rate, row, spread

from patchvae.data.tensors import Images, Split, Stored
from patchvae.models import build
from patchvae.numerics.memory import keep_freed_memory
from patchvae.numerics.optim import Adam
from patchvae.training.phases import update

B = 128
IMAGES = {64: 100_000, 224: 10_000}


def write(path: Path, n: int, size: int) -> np.memmap:
    """n random images on disk."""
    rng, block = np.random.default_rng(0), 1_000
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (n, size, size, 3)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, n, block):
            file.write(rng.bytes(min(block, n - start) * size * size * 3))
        file.flush()
        os.fsync(file.fileno())
    return np.load(path, mmap_mode="r")


def forget(path: Path) -> None:
    """Take a file out of the page cache."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def training(size: int, device: torch.device) -> Step:
    """PatchVAE's step on one batch that is there already."""
    model = build(example("patchvae", size)).to(device, memory_format=torch.channels_last).train()
    phases = model.phases()
    optimizers = [Adam(phase.parameters, 1e-4, (0.9, 0.999)) for phase in phases]
    count = (
        B if device.type == "cuda" else 16
    )  # a whole batch of 224 x 224 takes a CPU half a minute
    x = torch.rand(count, 3, size, size, device=device).to(memory_format=torch.channels_last)

    def step() -> int:
        update(phases, optimizers, x)
        return count

    return step


def finished(step: Step, device: torch.device) -> Step:
    """The step, waiting for the device."""

    def waiting() -> int:
        images = step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return images

    return waiting


def reading(images: Images, device: torch.device) -> dict[str, Step]:
    """Random batches, as bytes on the device and as images."""

    def read() -> int:
        assert isinstance(images.pixels, Stored)
        return len(images.pixels[torch.randint(len(images), (B,))])

    def batch() -> int:
        index = torch.randint(len(images), (B,))
        return len(images.batch(index, (index % 2 == 0).to(device)))

    return {"read": finished(read, device), "batch": finished(batch, device)}


def measure(size: int, n: int, device: torch.device, rounds: int, seconds: float) -> None:
    """All rates at one size, warm and cold by turns."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        array = write(path, n, size)
        images = Images(Stored((Split(array, np.arange(n)),), device))
        steps = reading(images, device)
        found: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name, step in steps.items():
                path.read_bytes()
                found.setdefault(f"{name}, warm", []).append(rate(step, seconds))
                forget(path)
                found.setdefault(f"{name}, cold", []).append(rate(step, seconds / 4))
    step = finished(training(size, device), device)
    step()
    found["train"] = [rate(step, seconds) for _ in range(rounds)]
    for name, rates in found.items():
        megabytes = f"{median(rates) * size**2 * 3 / 1e6:,.0f} MB/s" if name != "train" else ""
        times = f"{median(rates) / median(found['train']):,.0f} x training"
        form = ",.0f" if megabytes else ",.1f"
        row(f"{size} x {size} {name}", spread(rates, form), megabytes, times if megabytes else "")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each rate and round [1]")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(IMAGES), choices=IMAGES)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, help="in the file [1.2 to 1.5 GB]")
    chosen = parser.parse_args()
    head(__doc__, chosen.rounds)
    torch.set_num_threads(1)
    keep_freed_memory()
    begun, device = time.monotonic(), torch.device(chosen.device)
    row("", "images/s", "", "")
    for size in chosen.sizes:
        n = chosen.images or IMAGES[size]
        measure(size, n, device, chosen.rounds, chosen.seconds)
    print(f"{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
