"""Parts-32 and Parts-64: an embedded synthetic dataset whose classes are sets of parts.

An image shows two of five kinds of part, two to four parts in all, over a coloured texture with a
shape that is no part. The class is the pair of kinds that occurs; place, size, rotation and how
often each occurs say nothing about it. A kind has a shape and nearly a colour of its own, so that
minutes of training find it. `<split>_places.npy` (float32, N x 4 x 5) holds of
each part its kind, cy, cx, radius (pixels; pixel i is centred at i) and angle (radians); the kind
of an empty slot is -1.

Per-pixel arithmetic is restricted to operations that IEEE 754 rounds exactly (no sin, no BLAS, no
long sums), so the bytes depend on numpy's random streams only.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from patchvae.data.writer import Writer
from patchvae.study.registry import Dataset

FORM = 2
RESUMABLE = False
SEED = 2_020
VOCABULARY = ("ring", "cross", "triangle", "bars", "crescent")
PAIRS = tuple(combinations(range(len(VOCABULARY)), 2))
CLUTTER = ("disc", "square", "line")
COLOURS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1))  # of the kinds, RGB
SHADE = 0.03  # at most so far from them in each channel
SLOTS, DISTRACTORS = 4, 1
CHUNK = 250  # images drawn at once
RADIUS = (0.15, 0.215)  # of a part, in sides of the image
CANDIDATES = 48  # places tried for each part

Scalar = np.float32
Shape = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Scenes:
    """B images before drawing: things are parts (`places`) or clutter, each with a colour."""

    size: int
    background: np.ndarray  # B x H x W x 3 in [0, 1]
    places: np.ndarray  # B x SLOTS x 5
    colours: np.ndarray  # B x SLOTS x 3
    clutter: np.ndarray  # B x DISTRACTORS x 5
    clutter_colours: np.ndarray  # B x DISTRACTORS x 3
    grain: np.ndarray  # B x H x W x 1, added last


def prepare_into(facts: Dataset, source: Path | None, writer: Writer) -> None:
    """Draw both splits; `source` is not used, there are no original files."""
    writer.classes = ["+".join(VOCABULARY[k] for k in pair) for pair in PAIRS]
    for k, (split, count) in enumerate((("train", facts.train), ("test", facts.test))):
        rng = np.random.Generator(np.random.PCG64([SEED, facts.size, k]))
        labels = rng.permutation(np.arange(count) % len(PAIRS))
        writer.images(split, count)
        writer.labels(split, labels)
        writer.create(f"{split}_places", (count, SLOTS, 5), Scalar)
        for start in range(0, count, CHUNK):
            scenes = sample(rng, facts.size, labels[start : start + CHUNK])
            writer.put(split, start, draw(scenes))
            writer.put(f"{split}_places", start, scenes.places)
        writer.report(f"{facts.name}: {count} {split} images drawn")


def sample(rng: np.random.Generator, size: int, labels: np.ndarray) -> Scenes:
    """Random scenes of the given classes."""
    B = len(labels)
    background, mean = _texture(rng, B, size)
    places = _places(rng, size, labels)
    clutter = np.empty((B, DISTRACTORS, 5), Scalar)
    clutter[..., 0] = rng.integers(-1, len(CLUTTER), (B, DISTRACTORS))
    clutter[..., 1:3] = rng.uniform(0, size - 1, (B, DISTRACTORS, 2))
    clutter[..., 3] = rng.uniform(0.06, 0.13, (B, DISTRACTORS)) * size
    clutter[..., 4] = rng.uniform(0, 2 * np.pi, (B, DISTRACTORS))
    return Scenes(
        size,
        background,
        places,
        _shades(rng, places),
        clutter,
        _colours(rng, mean, DISTRACTORS),
        rng.uniform(-0.03, 0.03, (B, size, size, 1)).astype(Scalar),
    )


def draw(scenes: Scenes) -> np.ndarray:
    """B x H x W x 3, uint8: background, then clutter, then parts, then grain."""
    image = scenes.background.copy()
    _paint(image, scenes.clutter, scenes.clutter_colours, _CLUTTER_SHAPES)
    _paint(image, scenes.places, scenes.colours, _PART_SHAPES)
    image += scenes.grain
    return (np.clip(image, 0, 1) * Scalar(255) + Scalar(0.5)).astype(np.uint8)


def without(scenes: Scenes, slot: int) -> Scenes:
    """The same scenes with one slot empty."""
    places = scenes.places.copy()
    places[:, slot, 0] = -1
    return replace(scenes, places=places)


def _texture(rng: np.random.Generator, B: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Value noise around a random mean colour: B x H x W x 3, and the means, B x 3."""
    mean = rng.uniform(0.15, 0.85, (B, 3)).astype(Scalar)
    image = np.broadcast_to(mean[:, None, None], (B, size, size, 3)).copy()
    for cells, amplitude in ((3, 0.05), (8, 0.02)):
        grid = rng.uniform(-amplitude, amplitude, (B, cells + 1, cells + 1, 3)).astype(Scalar)
        image += _stretch(_stretch(grid, size, 1), size, 2)
    return image, mean


def _stretch(grid: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Linear interpolation of one axis to `size` samples."""
    at = (np.arange(size) + 0.5) * (grid.shape[axis] - 1) / size
    low = at.astype(np.int64)
    weight = (at - low).astype(Scalar).reshape((-1,) + (1,) * (3 - axis))
    below, above = np.take(grid, low, axis), np.take(grid, low + 1, axis)
    return below + (above - below) * weight


def _shades(rng: np.random.Generator, places: np.ndarray) -> np.ndarray:
    """B x SLOTS x 3: the colour of each part's kind, a little less pure."""
    pure = np.asarray(COLOURS, Scalar)[places[..., 0].astype(np.int64)]
    return abs(pure - rng.uniform(0, SHADE, pure.shape).astype(Scalar))


def _colours(rng: np.random.Generator, mean: np.ndarray, count: int) -> np.ndarray:
    """B x count x 3: of four random colours the farthest from the background's mean."""
    trial = rng.uniform(0, 1, (len(mean), count, 4, 3)).astype(Scalar)
    apart = np.abs(trial - mean[:, None, None]).max(-1)
    best = apart.argmax(2)[..., None, None]
    return np.take_along_axis(trial, best, 2)[:, :, 0]


def _places(rng: np.random.Generator, size: int, labels: np.ndarray) -> np.ndarray:
    """B x SLOTS x 5: both kinds of the class, then up to two more of either, in random slots."""
    B = len(labels)
    pair = np.asarray(PAIRS)[labels]
    kinds = np.where(rng.random((B, SLOTS)) < 0.5, pair[:, :1], pair[:, 1:])
    kinds[:, :2] = pair
    number = rng.integers(2, SLOTS + 1, B)
    kinds[np.arange(SLOTS) >= number[:, None]] = -1
    kinds = rng.permuted(kinds, axis=1)
    places = np.empty((B, SLOTS, 5), Scalar)
    places[..., 0] = kinds
    places[..., 3] = rng.uniform(*RADIUS, (B, SLOTS)) * size
    places[..., 4] = rng.uniform(0, 2 * np.pi, (B, SLOTS))
    for slot in range(SLOTS):
        places[:, slot, 1:3] = _free_place(rng, size, places, slot)
    places[kinds < 0, 1:] = 0
    return places


def _free_place(rng: np.random.Generator, size: int, places: np.ndarray, slot: int) -> np.ndarray:
    """B x 2: the first of several random places clear of the earlier parts, else the clearest."""
    radius = places[:, slot, 3]
    reach = size - 1 - 2 * radius  # the whole disc is inside the image
    trial = radius[:, None, None] + rng.random((len(places), CANDIDATES, 2)) * reach[:, None, None]
    gap = np.full(trial.shape[:2], np.inf)
    for other in range(slot):
        dy, dx = (trial - places[:, None, other, 1:3]).transpose(2, 0, 1)
        clear = np.sqrt(dy * dy + dx * dx) - 0.95 * (radius + places[:, other, 3])[:, None]
        gap = np.where(places[:, other, :1] < 0, gap, np.minimum(gap, clear))
    best = np.minimum(gap, 0).argmax(1)
    return np.take_along_axis(trial, best[:, None, None], 1)[:, 0]


def _paint(
    image: np.ndarray, things: np.ndarray, colours: np.ndarray, shapes: tuple[Shape, ...]
) -> None:
    """Blend things over the images in place, in the order of their slots."""
    axis = np.arange(image.shape[1], dtype=Scalar)
    for slot in range(things.shape[1]):
        for kind, shape in enumerate(shapes):
            chosen = np.flatnonzero(things[:, slot, 0] == kind)
            cy, cx, radius, angle = things[chosen, slot, 1:].T[..., None, None]
            cos, sin = (f(angle.astype(np.float64)).astype(Scalar) for f in (np.cos, np.sin))
            y, x = (axis[:, None] - cy) / radius, (axis - cx) / radius
            distance = shape(x * cos + y * sin, y * cos - x * sin) * radius
            cover = np.clip(Scalar(0.5) - distance, 0, 1)[..., None]
            below = image[chosen]
            image[chosen] = below + cover * (colours[chosen, slot, None, None] - below)


# Signed distances (negative inside) to shapes within the unit disc, exact near straight edges.


def _ring(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return abs(np.sqrt(u * u + v * v) - Scalar(0.71)) - Scalar(0.26)


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.minimum(_box(u, v, 0.95, 0.27), _box(v, u, 0.95, 0.27))


def _triangle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    slope = Scalar(0.8660254) * abs(u) + Scalar(0.5) * v
    return np.maximum(slope, -v) - Scalar(0.49)


def _bars(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _box(u, abs(v) - Scalar(0.5), 0.72, 0.19)


def _crescent(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    w = u - Scalar(0.5)
    bite = Scalar(0.78) - np.sqrt(w * w + v * v)
    return np.maximum(np.sqrt(u * u + v * v) - Scalar(0.97), bite)


def _disc(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.sqrt(u * u + v * v) - Scalar(0.8)


def _square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _box(u, v, 0.7, 0.7)


def _line(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _box(u, v, 1.4, 0.2)


def _box(u: np.ndarray, v: np.ndarray, half_u: float, half_v: float) -> np.ndarray:
    return np.maximum(abs(u) - Scalar(half_u), abs(v) - Scalar(half_v))


_PART_SHAPES = (_ring, _cross, _triangle, _bars, _crescent)
_CLUTTER_SHAPES = (_disc, _square, _line)
