"""The scatter between seeds in each column, and the difference between two rows that it alone explains."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from patchvae.paper.published import CellKey
from patchvae.report.stats import least_significant_difference, pooled_deviation


@dataclass(frozen=True)
class Noise:
    """One column of a table: pooled standard deviation over seeds, and the least significant difference.

    `rows` with at least two seeds count, those that are the same runs once; `seeds` is the fewest
    that one of them has.
    """

    table: str
    column: str
    rows: int
    seeds: int
    df: int
    sd: float
    difference: float


def seed_noise(cells: Iterable[tuple[CellKey, Mapping[int, float]]]) -> list[Noise]:
    """The noise of each column, from accuracies by seed."""
    columns: dict[tuple[str, str], list[Sequence[float]]] = {}
    for key, values in cells:
        groups = columns.setdefault((key.table, key.column), [])
        # two rows with the default setting are the same runs
        if len(values) > 1 and list(values.values()) not in groups:
            groups.append(list(values.values()))
    return [_noise(*column, groups) for column, groups in columns.items() if groups]


def _noise(table: str, column: str, groups: list[Sequence[float]]) -> Noise:
    sd, df = pooled_deviation(groups)
    K = min(len(values) for values in groups)
    difference = least_significant_difference(sd, df, K)
    return Noise(table, column, len(groups), K, df, sd, difference)
