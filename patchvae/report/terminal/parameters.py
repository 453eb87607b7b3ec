"""Our parameter counts beside the paper's."""

from collections.abc import Sequence

from rich.console import Console

from patchvae.report.terminal.style import Grid
from patchvae.study.address import CellKey


def show(rows: Sequence[tuple[CellKey, int, int]], console: Console) -> None:
    """One row a network, published and ours, then how many are equal."""
    grid = Grid("table", "network", "dataset", "paper", "ours", "")
    for key, published, ours in rows:
        same = "equal" if ours == published else f"differs by {ours - published:+,}"
        grid.add_row(*key, f"{published:,}", f"{ours:,}", same)
    console.print(grid)
    equal = sum(published == ours for _, published, ours in rows)
    console.print(f"{len(rows)} published, {equal} equal")
