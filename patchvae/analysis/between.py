"""Two studies cell by cell: what a change of code or protocol did to the numbers.

Cells count as they lie on disk, whatever the present configuration, since one of the two may be of
another checkout. Each difference is paired by seed, and by test image where both have predictions
on the same images; its word is decided after Holm over all of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchvae.analysis.cells import sample_of
from patchvae.analysis.paired import Estimate, Sample, contrast
from patchvae.analysis.stats import DIFFERS, holm
from patchvae.errors import CheckpointError, ConfigError
from patchvae.runtime.results import read_result
from patchvae.study.address import CellKey

NONE_SHOWN, UNTESTABLE = "no difference shown", "not testable"
LEVEL = 0.05

Cells = Mapping[CellKey, Mapping[str, Any]]


@dataclass(frozen=True)
class Pair:
    """One cell of both: second minus first.

    `estimate` is None with one seed in common and no predictions to pair, or none in common.
    """

    key: CellKey
    samples: tuple[Sample, Sample]
    same_images: bool
    estimate: Estimate | None
    word: str


@dataclass(frozen=True)
class Between:
    """The cells that both have, and how many only one has."""

    pairs: tuple[Pair, ...]
    alone: tuple[int, int]


def between(first: Path, second: Path) -> Between:
    """Compare the cells below two studies' folders, such as results/demo.

    ConfigError when they share none.
    """
    a, b = read_cells(first), read_cells(second)
    shared = [key for key in a if key in b]
    if not shared:
        raise ConfigError(
            f"{first} ({len(a)} cells) and {second} ({len(b)} cells) have no cell of the same"
            " table, row and column with numbers: name two studies that share one"
        )
    pairs = tuple(judged([(key, a[key], b[key]) for key in shared]))
    return Between(pairs, (len(a) - len(shared), len(b) - len(shared)))


def read_cells(folder: Path) -> dict[CellKey, dict[str, Any]]:
    """Every cell with numbers below a study's folder, table by table; each file's digest holds."""
    found = {}
    for path in sorted((folder / "cells").glob("*/*/*.json")):
        document = read_result(path, "cell")
        key = CellKey(document["table"], document["row"], document["column"])
        if path.parts[-3:] != (*key[:2], f"{key.column}.json"):
            raise CheckpointError(f"{path} is the cell {key}: delete it and run its job again")
        if document["values"]:
            found[key] = document
    return found


def judged(
    cells: Sequence[tuple[CellKey, Mapping[str, Any], Mapping[str, Any]]],
) -> Iterator[Pair]:
    """Second minus first of the contents of two cells each, named by a key."""
    estimates = [_estimate(a, b) for _, a, b in cells]
    tested = [estimate.p() for estimate in estimates if estimate is not None]
    adjusted = iter(holm(tested))
    for (key, a, b), estimate in zip(cells, estimates, strict=True):
        word = UNTESTABLE
        if estimate is not None:
            word = DIFFERS if next(adjusted) < LEVEL else NONE_SHOWN
        yield Pair(key, (sample_of(a), sample_of(b)), _same_images(a, b), estimate, word)


def _same_images(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return all(a[name] == b[name] for name in ("data_digest", "n_test", "metric"))


def _estimate(a: Mapping[str, Any], b: Mapping[str, Any]) -> Estimate | None:
    """Second minus first; without the predictions where they are of other images."""
    samples = [sample_of(document) for document in (b, a)]
    if not _same_images(a, b):
        samples = [Sample(sample.values, {}) for sample in samples]
    if not set(samples[0].values) & set(samples[1].values):
        return None
    return contrast([(1, samples[0]), (-1, samples[1])])
