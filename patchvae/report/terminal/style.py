"""How words and sentences look on a terminal."""

from collections.abc import Iterable

from rich.console import Console

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


def say(console: Console, lines: Iterable[str]) -> None:
    """Sentences as they are: paths and brackets stay whole."""
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)
