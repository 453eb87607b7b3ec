"""Claim: training on 100,000 images of 64 x 64 stays below 2 GB of resident memory.

    OMP_NUM_THREADS=1 python benchmarks/memory.py

Measured (AMD EPYC, one thread, torch 2.15.0, n = 1): see docs/cost.md. Images lie on disk as random
bytes (1.2 GB); PatchVAE takes `--steps` steps over them, then conv5 features of `--probe` images
and of their mirror images are cached (beyond 1 GiB on disk) and read back in random order. Peaks
are those of the process so far.
"""

import argparse
import resource
import tempfile
from pathlib import Path

import numpy as np
import torch

from patchvae.data.tensors import CHUNK, HOST_BYTES, Images, Split, Stored, epoch_order
from patchvae.models import build
from patchvae.models.classifier import Classifier
from patchvae.models.trunk import Trunk
from patchvae.numerics.memory import keep_freed_memory
from patchvae.numerics.optim import Adam
from patchvae.study.config import load_study
from patchvae.study.runs import Run, resolve_run
from patchvae.study.variants import variant_of
from patchvae.training.features import Live, cache
from patchvae.training.phases import update

CPU = torch.device("cpu")
B = 128


def peak(what: str) -> None:
    """Print the process's peak of resident memory."""
    mebibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{what:<45} {mebibytes:>6} MiB", flush=True)


def write(path: Path, n: int) -> np.memmap:
    """n random images on disk, written in bounded memory."""
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (n, 64, 64, 3)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, n, CHUNK):
            file.write(rng.bytes(min(CHUNK, n - start) * 64 * 64 * 3))
    return np.load(path, mmap_mode="r")


def pretrain(images: Images, steps: int) -> Trunk:
    """Steps of PatchVAE over images in the order of an epoch."""
    variant = variant_of(load_study("paper"), "places205", "patchvae", {})
    model = build(resolve_run(Run("paper", "places205", "patchvae", variant, 0)))
    model = model.to(memory_format=torch.channels_last).train()
    phases = model.phases()
    optimizers = [Adam(phase.parameters, 1e-4, (0.9, 0.999)) for phase in phases]
    order, flip = epoch_order(len(images), True, CPU, 0)
    assert flip is not None
    for step in range(steps):
        index = order[step * B : (step + 1) * B]
        update(phases, optimizers, images.batch(index, flip[index]))
    return model.trunk


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--probe", type=int, default=20_000)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        array = write(Path(folder) / "images.npy", chosen.images)
        assert array.nbytes > HOST_BYTES, "so few images would stay in memory"
        peak("imports and writing the images")
        stored = Stored((Split(array, np.arange(chosen.images)),), CPU)
        trunk = pretrain(Images(stored), chosen.steps)
        peak(f"{chosen.steps} steps of PatchVAE over {chosen.images:,} images")
        few = Images(Stored((Split(array, np.arange(chosen.probe)),), CPU))
        classifier = Classifier(trunk, "conv5", 64, 205).eval()
        features = cache(Live(few, classifier), flip=True)
        for index in torch.randperm(chosen.probe).split(B):
            features.batch(index)
        kept = f"{2 * chosen.probe:,} conv5 features"
        peak(f"{kept} in a {type(features.features).__name__}")


if __name__ == "__main__":
    main()
