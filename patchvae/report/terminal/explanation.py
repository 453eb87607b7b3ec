"""Where a number comes from."""

from rich.console import Console

from patchvae.planning.explain import Explanation
from patchvae.report.terminal.style import Grid, say, style_of


def show(explanation: Explanation, console: Console) -> None:
    """Facts, configuration, readings, jobs, files and commands, in this order."""
    console.print(explanation.title, style="bold")
    say(console, (f"{name:>8}  {text}" for name, text in explanation.facts.items()))
    _choices(explanation, console)
    _jobs(explanation, console)
    _lines("files", [str(path) for path in explanation.files], console)
    _lines("commands", list(explanation.commands), console)


def _choices(explanation: Explanation, console: Console) -> None:
    if explanation.choices:
        grid = Grid("key", "value", "source", "reading", title="Configuration")
        for choice in explanation.choices:
            where = f": {choice.where}" if choice.where else ""
            grid.add_row(choice.key, choice.value, choice.source + where, choice.reading)
        console.print(grid)
    if explanation.readings:
        grid = Grid("reading", "settled by", "read as", title="Readings that it depends on")
        for reading in explanation.readings:
            grid.add_row(reading.id, reading.origin, reading.reading)
        console.print(grid)


def _jobs(explanation: Explanation, console: Console) -> None:
    if not explanation.jobs:
        return
    grid = Grid("job", "state", "why, or how long", title="Jobs")
    for job, state in explanation.jobs:
        took = f"{state.seconds:.0f} s" if state.seconds is not None else ""
        detail = state.detail or took
        grid.add_row(f"{job.kind} {job.name}", state.word, detail, style=style_of(state.word))
    console.print(grid)


def _lines(title: str, lines: list[str], console: Console) -> None:
    console.print(f"\n{title}", style="bold")
    say(console, (f"  {line}" for line in lines))
