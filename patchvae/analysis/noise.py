"""The scatter between seeds, and the difference between two rows that it alone explains."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from patchvae.analysis.stats import least_significant_difference, pooled_deviation
from patchvae.study.address import CellKey
from patchvae.study.registry import MODELS


@dataclass(frozen=True)
class Noise:
    """The rows of one architecture in a column.

    Pooled standard deviation, least significant difference.

    Architectures apart, since adversarial ones scatter far more; probes too, since a row trained
    from scratch has the architecture of an untrained trunk and little else in common. `rows` with
    at least two seeds count, those that are the same runs once; `seeds` is the fewest that one of
    them has.
    """

    table: str
    column: str
    architecture: str
    probe: str
    rows: int
    seeds: int
    df: int
    sd: float
    difference: float


def seed_noise(cells: Iterable[tuple[CellKey, str, str, Mapping[int, float]]]) -> list[Noise]:
    """From each cell's key, model, probe and accuracies by seed."""
    found: dict[tuple[str, str, str, str], list[Sequence[float]]] = {}
    for key, model, probe, values in cells:
        place = (key.table, key.column, MODELS[model].architecture, probe)
        groups = found.setdefault(place, [])
        # two rows with the default setting are the same runs
        if len(values) > 1 and list(values.values()) not in groups:
            groups.append(list(values.values()))
    return [_noise(place, groups) for place, groups in found.items() if groups]


def _noise(place: tuple[str, str, str, str], groups: list[Sequence[float]]) -> Noise:
    sd, df = pooled_deviation(groups)
    K = min(len(values) for values in groups)
    difference = least_significant_difference(sd, df, K)
    return Noise(*place, len(groups), K, df, sd, difference)
