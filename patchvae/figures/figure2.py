"""Figure 2: for each part the image patches where it is most surely visible."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import numpy as np
import torch
from matplotlib.figure import Figure

from patchvae.figures.canvas import as_picture, axes_grid, hide_unused, new_figure, subject_of
from patchvae.figures.catalogue import Target
from patchvae.figures.networks import batches, load_parts
from patchvae.figures.patches import corners, patch_side
from patchvae.runtime.machine import Options

KEPT = 50  # images kept for each part
SHOWN = 5  # of them in the figure
PARTS = 16  # at most, those whose kept images have the highest mean probability
BLOCKS = 2  # parts side by side


@dataclass(frozen=True)
class Best:
    """The K images with the highest visibility of each part: all (K, N), best first.

    `logit` is the highest over the image's cells, `cell` the flat index of that cell.
    """

    logit: np.ndarray
    image: np.ndarray
    cell: np.ndarray

    @property
    def probability(self) -> np.ndarray:
        return 1 / (1 + np.exp(-self.logit.astype(np.float64)))


@dataclass(frozen=True)
class PartPatches:
    """One part: of its kept images those shown (positions in `Best`), their patches and classes."""

    part: int
    shown: np.ndarray
    patches: list[np.ndarray]
    probabilities: list[float]
    classes: list[str]


@dataclass(frozen=True)
class Concepts:
    """What the figure shows, and all that was kept."""

    subject: str
    best: Best
    labels: np.ndarray  # (K, N) class of each kept image
    corners: np.ndarray  # (K, N, 2) top and left pixel of each patch
    side: int
    class_names: list[str]
    parts: list[PartPatches]


def merge(best: Best | None, new: Best, kept: int = KEPT) -> Best:
    """The `kept` highest of both; of equal ones the earlier image, so batches may have any size."""
    if best is not None:
        pairs = ((best.logit, new.logit), (best.image, new.image), (best.cell, new.cell))
        new = Best(*(np.concatenate(pair) for pair in pairs))
    order = np.argsort(-new.logit, axis=0, kind="stable")[:kept]
    return Best(*(np.take_along_axis(a, order, 0) for a in (new.logit, new.image, new.cell)))


def peaks(logits: torch.Tensor, index: np.ndarray) -> Best:
    """The most visible cell of each part in each image: logits (b, N, h, w) -> (b, N)."""
    logit, cell = logits.flatten(2).max(2)
    image = np.broadcast_to(index[:, None], logit.shape)
    return Best(logit.cpu().numpy(), image, cell.cpu().numpy())


def diverse(labels: np.ndarray, count: int = SHOWN) -> np.ndarray:
    """Positions of `count` images, best first: the best of each class, then second ones, and so on.

    `labels` (K,) are the classes of the kept images in the order of their probability.
    """
    rank = np.array([np.sum(labels[:i] == label) for i, label in enumerate(labels)])
    return np.sort(np.argsort(rank, kind="stable")[:count])


@torch.no_grad()
def compute(target: Target, options: Options) -> Concepts:
    """One pass over the study's training images; memory for `KEPT` images a part."""
    (run,) = target.runs()
    trained, model = load_parts(run, options)
    best: Best | None = None
    for index, x in batches(trained, "train", trained.config.data.train):
        logits = model.posterior(x)[0]
        best = merge(best, peaks(logits, index))
    assert best is not None
    size, data = trained.config.data.size, trained.data
    side = patch_side(size)
    labels = data.labels("train")[best.image]
    where = corners(best.cell, model.trunk.stride, size)
    chosen = np.argsort(-best.probability.mean(0), kind="stable")[:PARTS]
    pixels = data.images("train")
    parts = []
    for part in sorted(int(n) for n in chosen):
        shown = diverse(labels[:, part])
        crops = [_crop(pixels[best.image[i, part]], where[i, part], side) for i in shown]
        probabilities = [float(p) for p in best.probability[shown, part]]
        names = [data.classes[label] for label in labels[shown, part]]
        parts.append(PartPatches(part, shown, crops, probabilities, names))
    return Concepts(subject_of(run), best, labels, where, side, data.classes, parts)


def _crop(image: np.ndarray, corner: np.ndarray, side: int) -> np.ndarray:
    top, left = corner
    return np.array(image[top : top + side, left : left + side])


def draw(data: Concepts) -> Figure:
    """Two parts a line, each with its patches, their probabilities and classes."""
    rows = -(-len(data.parts) // BLOCKS)
    figure = new_figure(0.72 * rows + 0.4)
    axes = axes_grid(figure, rows, BLOCKS * SHOWN)
    lines = [
        axes[row, SHOWN * block : SHOWN * (block + 1)]
        for block in range(BLOCKS)
        for row in range(rows)
    ]
    for line, part in zip(lines, data.parts, strict=False):
        for position, axis in enumerate(line[: len(part.patches)]):
            axis.imshow(part.patches[position])
            words = "\n".join(wrap(part.classes[position].replace("+", "+ "), 10)[:2])
            label = f"{part.part + 1}" if position == 0 else ""
            as_picture(axis, label, words.replace("+ ", "+"))
            axis.set_title(f"{part.probabilities[position]:.2f}", fontsize=5.5, pad=1.5)
        hide_unused(line[len(part.patches) :])
    for line in lines[len(data.parts) :]:
        hide_unused(line)
    figure.suptitle(
        "Where each part is most surely visible (part, probability, class of the image)"
    )
    return figure


def tabulate(data: Concepts, target: Target) -> dict[Path, str]:
    """Every image kept: part and rank from 1, image in the training file, patch, if shown."""
    import pandas as pd

    shown = {(part.part, int(i)) for part in data.parts for i in part.shown}
    K, N = data.best.logit.shape
    records = [
        {
            "part": n + 1,
            "rank": k + 1,
            "image": data.best.image[k, n],
            "class": data.class_names[data.labels[k, n]],
            "top": data.corners[k, n, 0],
            "left": data.corners[k, n, 1],
            "side": data.side,
            "probability": round(float(data.best.probability[k, n]), 6),
            "shown": int((n, k) in shown),
        }
        for n in range(N)
        for k in range(K)
    ]
    text = pd.DataFrame(records).to_csv(index=False, lineterminator="\n")
    return {target.path("csv"): str(text)}
