"""Claim: the figures of docs/datasets.md, images a second and memory of decoding and preparing.

    python benchmarks/prepare.py decode                     one core, CPU time, half a minute
    python benchmarks/prepare.py prepare --images 100000    a set like Places205, every core

The images are photographs of scikit-image at the sizes of the datasets' own, JPEG quality 90. The
set lists 205 files again and again, which are read and decoded again each time.
"""

import argparse
import io
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from PIL import Image
from skimage import data as photographs

from patchvae.data import store
from patchvae.data.decode import Item, decode
from patchvae.data.imagenet import MARGIN
from patchvae.data.places205 import LISTS
from patchvae.study.registry import DATASETS

# dataset: width and height of a typical original, and what is cut off
TYPICAL = {
    "indoor67": (500, 375, 0.0),
    "places205": (256, 256, 0.0),
    "imagenet": (500, 375, MARGIN),
}


def jpegs(width: int, height: int) -> list[bytes]:
    """Three photographs at one size."""
    encoded = []
    for photograph in (photographs.astronaut(), photographs.coffee(), photographs.chelsea()):
        file = io.BytesIO()
        Image.fromarray(photograph).resize((width, height)).save(file, "JPEG", quality=90)
        encoded.append(file.getvalue())
    return encoded


def measure_decoding(folder: Path, rounds: int) -> None:
    """Images per second of CPU time, slowest and fastest of three timings."""
    for name, (width, height, margin) in TYPICAL.items():
        items, size = [], DATASETS[name].size
        for k, content in enumerate(jpegs(width, height)):
            (folder / f"{k}.jpg").write_bytes(content)
            items.append(Item("", 0, str(folder / f"{k}.jpg")))
        rates = []
        for _ in range(3):
            begun = time.process_time()
            for _ in range(rounds):
                for item in items:
                    decode(item, size, margin)
            rates.append(rounds * len(items) / (time.process_time() - begun))
        weight = sum(Path(item.path).stat().st_size for item in items) / len(items) / 1e3
        print(
            f"{name}: {width} x {height}, {weight:.0f} kB -> {size} x {size}: "
            f"{min(rates):.0f} to {max(rates):.0f} images/s a core"
        )


def like_places(folder: Path, images: int) -> store.Dataset:
    """Originals in the layout of Places205: a file for each class, listed many times."""
    content = jpegs(*TYPICAL["places205"][:2])
    for label in range(205):
        path = folder / f"images256/c/class{label}/x.jpg"
        path.parent.mkdir(parents=True)
        path.write_bytes(content[label % 3])
    facts = replace(DATASETS["places205"], train=images - 2_050, test=2_050)
    for split, count in (("train", facts.train), ("test", facts.test)):
        lines = (f"c/class{k % 205}/x.jpg {k % 205}\n" for k in range(count))
        (folder / LISTS[split]).write_text("".join(lines))
    return facts


def peak(who: int) -> float:
    """Largest resident memory so far, in MB."""
    return resource.getrusage(who).ru_maxrss / 1e3


def cpu_seconds() -> float:
    """CPU time of this process and its ended children."""
    used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def measure_preparing(folder: Path, images: int, workers: int | None) -> None:
    """Wall time, CPU time and peak memory of one preparation."""
    facts = like_places(folder / "source", images)
    begun, cpu = time.perf_counter(), cpu_seconds()
    store.prepare(facts, folder / "source", folder / "root", workers=workers)
    wall, cpu = time.perf_counter() - begun, cpu_seconds() - cpu
    print(
        f"{images} images: {wall:.0f} s, {images / wall:.0f} images/s; {images / cpu:.0f} for each "
        f"second of CPU time; peak {peak(resource.RUSAGE_SELF):.0f} MB in the main process, "
        f"{peak(resource.RUSAGE_CHILDREN):.0f} MB in each worker"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("decode", "prepare"))
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.what == "decode":
            measure_decoding(Path(folder), options.rounds)
        else:
            measure_preparing(Path(folder), options.images, options.workers)


if __name__ == "__main__":
    main()
