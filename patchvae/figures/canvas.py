"""What all figures share: the style, the line that names the study, files of stable bytes."""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.textpath import TextPath

from patchvae.figures.catalogue import FORMATS, STYLE, Target
from patchvae.report.picture import sealed
from patchvae.runtime.results import write_bytes
from patchvae.study.config import load_study
from patchvae.study.registry import ARCHITECTURES, DATASETS, MODELS
from patchvae.study.runs import Run

WIDTH = 5.5  # inches: the text of the paper
FOOTER = 0.18  # inches kept free for the line that names the study
FOOTER_SIZE = 6.0  # points, of that line unless it is too long
MARGIN = 0.04  # inches beside it
HINTING = 1.05  # letters of whole pixels are so much wider at most
# Nothing that changes from one drawing to the next
METADATA: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "png": {"Software": None}}


@contextmanager
def style() -> Iterator[None]:
    """Within the block figures have the project's look, whatever the user's own settings."""
    with matplotlib.style.context(STYLE, after_reset=True):
        yield


def new_figure(height: float, **pads: Any) -> Figure:
    """An empty figure of the text's width, `height` inches tall, that keeps room for its footer.

    `pads` (inches, shares) are those of matplotlib's constrained layout.
    """
    share = FOOTER / height
    engine = ConstrainedLayoutEngine(rect=(0, share, 1, 1 - share), **pads)
    return Figure(figsize=(WIDTH, height), layout=engine)


def axes_grid(figure: Any, rows: int, columns: int, **options: Any) -> np.ndarray:
    """Axes as a rows x columns array, whatever the numbers."""
    return figure.subplots(rows, columns, squeeze=False, **options)


def as_picture(axes: Axes, label: str = "", below: str = "") -> None:
    """Axes without ticks, for an image; `label` at its left, `below` beneath."""
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if label:
        axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=7)
    if below:
        axes.set_xlabel(below, fontsize=5.5, labelpad=1.5, linespacing=0.95)


def title_of(model: str) -> str:
    """A row's name as in Table 1."""
    return MODELS[model].title


def subject_of(run: Run) -> str:
    """`Parts-64, PatchVAE N16-d6-..., seed 0`."""
    return f"{DATASETS[run.dataset].title}, {title_of(run.model)} {run.variant}, seed {run.seed}"


def left_out(models: Iterable[str], why: str) -> str:
    """`; left out: BiGAN (no posterior)`, or nothing: the end of a figure's subject."""
    titles = ", ".join(dict.fromkeys(ARCHITECTURES[MODELS[m].architecture].title for m in models))
    return f"; left out: {titles} ({why})" if titles else ""


def hide_unused(axes: Iterable[Axes]) -> None:
    """Remove what remains of a grid."""
    for unused in axes:
        unused.set_axis_off()


def _foot(figure: Figure, words: str) -> None:
    """The line below a figure, in letters small enough for its width."""
    x, y = MARGIN / figure.get_figwidth(), 0.03 / figure.get_figheight()
    room = 72 * (figure.get_figwidth() - 2 * MARGIN)  # points
    width = HINTING * TextPath((0, 0), words, size=FOOTER_SIZE).get_extents().width
    size = FOOTER_SIZE * min(1.0, room / width)
    figure.text(x, y, words, fontsize=size, color="0.35", va="bottom")


def save(figure: Figure, target: Target, subject: str) -> list[Path]:
    """Write the figure as PDF and PNG with a footer that names its study and subject."""
    study = load_study(target.study)
    words = f"Study {study.name} ({study.title}). {subject}".rstrip(". ")
    _foot(figure, words)
    written = []
    for suffix in FORMATS:
        buffer = io.BytesIO()
        metadata = METADATA[suffix] | {"Title": f"{target.figure.title}, study {study.name}"}
        figure.savefig(buffer, format=suffix, metadata=metadata)
        written.append(target.path(suffix))
        content = buffer.getvalue()
        write_bytes(written[-1], sealed(content) if suffix == "png" else content)
    return written
