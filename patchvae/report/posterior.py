"""What is measured of a run's posteriors, and the table of it.

A dimension is active when its posterior mean has a variance above 0.01 over images (Burda, Grosse
and Salakhutdinov, 2016). A part is taken as visible in a cell where its probability exceeds one
half. The explained variance of test images x is 1 - sum (x - x_hat)^2 / sum (x - m)^2, where x_hat
is the reconstruction in eval mode and m the mean of these images, pixel by pixel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from patchvae.report.sheets import Sheet

IMAGES = 2000  # test images at most
ACTIVE = 0.01  # variance of a posterior mean
BINS = 20  # of visibility, between 0 and 1


@dataclass(frozen=True)
class Visibility:
    """Probabilities p of N parts in all cells of all images.

    `kl` in nats an image; `histogram` the share of p in each of `BINS` bins; `visible` the share of
    cells in which 0, 1, ..., N parts have p > 1/2; `parts` each part's share of cells with p > 1/2.
    """

    kl: float
    mean: float
    histogram: np.ndarray
    visible: np.ndarray
    parts: np.ndarray

    @property
    def visible_parts(self) -> float:
        """Visible parts in a cell, on average."""
        return float(self.visible @ np.arange(len(self.visible)))

    @property
    def switching(self) -> int:
        """Parts that are visible in at least 1 and at most 99 % of the cells."""
        return int(((self.parts >= 0.01) & (self.parts <= 0.99)).sum())


@dataclass(frozen=True)
class Usage:
    """One run: explained variance, KL of z or of appearance (nats an image), active dimensions
    of all, visibility.
    """

    name: str
    seed: int
    explained: float
    kl: float
    active: int
    dimensions: int
    visibility: Visibility | None


@dataclass(frozen=True)
class Posteriors:
    """Every VAE of a study, on one dataset."""

    subject: str
    dataset: str
    usages: list[Usage]

    def by_name(self) -> dict[str, list[Usage]]:
        """Each row's seeds."""
        names = dict.fromkeys(usage.name for usage in self.usages)
        return {name: [u for u in self.usages if u.name == name] for name in names}


# key of a record -> heading and format
COLUMNS = {
    "explained": ("explained variance", ".3f"), "kl": ("KL", ".1f"), "active": ("active", ".1f"),
    "dimensions": ("of", ".0f"), "kl_vis": ("KL vis.", ".1f"), "mean_p": ("mean p", ".3f"),
    "visible": ("visible", ".2f"), "below": ("below", ".1f"), "above": ("above", ".1f"),
    "switching": ("switching", ".1f"), "parts": ("of", ".0f"),
}  # fmt: skip
EXPLAINED = (
    " Explained variance: 1 - sum (x - x_hat)^2 / sum (x - mean image)^2 over these images, x_hat"
    " the reconstruction."
)
NOTE = (
    f"At most {IMAGES:,} test images, means over seeds. KL: nats an image, of z or of appearance."
    f" Active: dimensions whose posterior mean varies by more than {ACTIVE} over images. KL vis.:"
    " nats an image, of visibility, whose probability is p. Visible: parts in a cell with p above"
    " 0.5. Below, above: percent of all p below 0.05 and above 0.95. Switching: parts that are"
    " visible in at least 1 and at most 99 percent of the cells."
)


def records_of(data: Posteriors) -> list[dict[str, Any]]:
    """A record for each run: the rows of the csv."""
    return [
        {"dataset": data.dataset, "model": usage.name, "seed": usage.seed} | _numbers(usage)
        for usage in data.usages
    ]


def posterior_sheet(records: Sequence[Mapping[str, Any]]) -> Sheet:
    """A row for each model; the csv has every seed. `records` as of `records_of`."""
    known = [key for key in COLUMNS if any(key in record for record in records)]
    models = dict.fromkeys(record["model"] for record in records)
    rows = [_row(name, [r for r in records if r["model"] == name], known) for name in models]
    return Sheet(
        name="posterior",
        title="Latent codes",
        caption="What the latent codes use on {dataset}, study {study} (beyond the paper)",
        note=NOTE + (EXPLAINED if "explained" in known else ""),
        headings=("model", *(COLUMNS[key][0] for key in known)),
        groups={records[0]["dataset"]: [rows]},
        records=records,
    )


def _numbers(usage: Usage) -> dict[str, float]:
    found: dict[str, float] = {
        "explained": round(usage.explained, 6), "kl": round(usage.kl, 6),
        "active": usage.active, "dimensions": usage.dimensions,
    }  # fmt: skip
    v = usage.visibility
    if v is None:
        return found
    return found | {
        "kl_vis": round(v.kl, 6), "mean_p": round(v.mean, 6),
        "visible": round(v.visible_parts, 6), "below": round(100 * float(v.histogram[0]), 4),
        "above": round(100 * float(v.histogram[-1]), 4), "switching": v.switching,
        "parts": len(v.parts),
    }  # fmt: skip


def _row(name: str, seeds: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[str]:
    means = {key: fmean(seed[key] for seed in seeds) for key in keys if key in seeds[0]}
    return [name, *(format(means[key], COLUMNS[key][1]) if key in means else "" for key in keys)]
