"""An explanation on a terminal or as plain text."""

from typing import TYPE_CHECKING

from patchvae.planning.explain import Explanation

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {"done": "green", "failed": "bold red", "stale": "yellow", "running": "cyan"}


def show(explanation: Explanation, console: "Console") -> None:
    """Facts, configuration, readings, jobs, files and commands, in this order."""
    console.print(explanation.title, style="bold", highlight=False)
    for name, text in explanation.facts.items():
        console.print(f"{name:>8}  {text}", highlight=False, soft_wrap=True, markup=False)
    _choices(explanation, console)
    _jobs(explanation, console)
    _lines("files", [str(path) for path in explanation.files], console)
    _lines("commands", list(explanation.commands), console)


def _choices(explanation: Explanation, console: "Console") -> None:
    from rich.table import Table

    if explanation.choices:
        grid = Table("key", "value", "source", "reading", title="Configuration")
        for choice in explanation.choices:
            where = f": {choice.where}" if choice.where else ""
            grid.add_row(choice.key, choice.value, choice.source + where, choice.reading)
        console.print(grid)
    if explanation.readings:
        grid = Table("reading", "settled by", "read as", title="Readings that it depends on")
        for reading in explanation.readings:
            grid.add_row(reading.id, reading.origin, reading.reading)
        console.print(grid)


def _jobs(explanation: Explanation, console: "Console") -> None:
    from rich.table import Column, Table

    if not explanation.jobs:
        return
    why = Column("why, or how long", overflow="fold")
    grid = Table(Column("job", overflow="fold"), "state", why, title="Jobs")
    for job, state in explanation.jobs:
        took = f"{state.seconds:.0f} s" if state.seconds is not None else ""
        detail = state.detail or took
        grid.add_row(f"{job.kind} {job.name}", state.word, detail, style=STYLES.get(state.word, ""))
    console.print(grid)


def _lines(title: str, lines: list[str], console: "Console") -> None:
    console.print(f"\n{title}", style="bold")
    for line in lines:
        console.print(f"  {line}", highlight=False, soft_wrap=True, markup=False)
