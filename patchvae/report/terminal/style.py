"""How words, sentences and tables look on a terminal, and in a pipe or a file."""

from collections.abc import Iterable
from typing import IO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

# states of jobs, verdicts of cells, and what became of claims
STYLES = {
    "done": "green",
    "running": "cyan",
    "stale": "yellow",
    "failed": "bold red",
    "reproduced": "bold green",
    "consistent": "green",
    "inconclusive": "yellow",
    "differs": "red",
    "identical": "bold green",
    "as expected": "green",
    "supported": "green",
    "supported so far": "green",
    "contradicted": "red",
}


def style_of(word: str) -> str:
    """Empty for a word that is printed plainly."""
    return STYLES.get(word, "")


def console(file: IO[str] | None = None) -> Console:
    """Where commands print: words as they are, never cut, coloured on a terminal only."""
    return Console(file=file, soft_wrap=True, highlight=False, markup=False, emoji=False)


class Grid(Table):
    """A table whose words are never cut.

    A terminal folds what is too long for it; anything else gets a line a row, as long as it is,
    without frames, for `grep` and `less`.
    """

    def __init__(self, *headings: str, title: str | None = None) -> None:
        super().__init__(*headings, title=title)
        for column in self.columns:
            column.overflow = "fold"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if console.is_terminal:
            yield from super().__rich_console__(console, options)
            return
        columns = [[str(column.header), *map(str, column.cells)] for column in self.columns]
        widths = [max(map(len, column)) for column in columns]
        rows = [
            "  ".join(map(str.ljust, row, widths)).rstrip() for row in zip(*columns, strict=True)
        ]
        yield Text("\n".join([*([str(self.title)] if self.title else ()), *rows]))


def say(console: Console, lines: Iterable[str]) -> None:
    """Sentences, a line each."""
    for line in lines:
        console.print(line)
