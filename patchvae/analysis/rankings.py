"""The paper's order of a column's rows against ours."""

from collections.abc import Iterable
from dataclasses import dataclass

from patchvae.analysis.stats import kendall_tau
from patchvae.study.address import CellKey


@dataclass(frozen=True)
class Ranking:
    """Kendall's tau between the paper's order and ours of the rows of one column.

    None if undefined.

    `axis` is the hyper-parameter that the rows sweep, empty where they are models.
    """

    table: str
    axis: str
    column: str
    rows: int
    tau: float | None
    p: float | None


def rankings(pairs: Iterable[tuple[CellKey, float, float]]) -> list[Ranking]:
    """One for each column, from the paper's value and ours of each cell."""
    columns: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for key, paper, ours in pairs:
        axis = key.row.partition("=")[0] if "=" in key.row else ""
        columns.setdefault((key.table, axis, key.column), []).append((paper, ours))
    found = []
    for (table, axis, column), values in columns.items():
        tau = kendall_tau([a for a, _ in values], [b for _, b in values])
        found.append(Ranking(table, axis, column, len(values), *(tau or (None, None))))
    return found
