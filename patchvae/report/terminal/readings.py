"""The readings, one row each."""

from rich.console import Console

from patchvae.report.readings import numbers_behind
from patchvae.report.terminal.style import Grid
from patchvae.study.readings import readings


def show(console: Console) -> None:
    """One row a reading."""
    grid = Grid("reading", "where", "read as", "settled by", "numbers", title="Readings")
    for reading in readings().values():
        count = str(numbers_behind(reading).total())
        grid.add_row(reading.id, reading.where, reading.reading, reading.origin, count)
    console.print(grid)
