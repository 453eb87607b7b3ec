"""What a study's seeds can decide."""

from rich.console import Console

from patchvae.analysis.power import POWER, Decidable
from patchvae.analysis.study_power import Power
from patchvae.report.terminal.style import Grid


def show(found: Power, console: Console) -> None:
    """A line for each part, then what the verdicts can tell apart."""
    title = (
        f"What {found.seeds} seeds decide with {POWER:.0%} power, two-sided at {found.alpha:g}; "
        f"spread over seeds: {found.spread.source}"
    )
    what = ("claim", "says", "differences")
    table = Grid(*what, "sd", "smallest", "of the paper's", "seeds they need", title=title)
    for item in found.parts:
        table.add_row(item.part.id, item.part.says, "one by one", *_texts(item.singles))
        if item.contrasts.distances != item.singles.distances:
            table.add_row("", "", "as judged", *_texts(item.contrasts))
    console.print(table)
    verdicts = found.verdicts
    if not all(kind.own for item in found.parts for kind in (item.singles, item.contrasts)):
        console.print("* no such difference in these cells: the median of the other claims' sd")
    console.print(
        f"Verdicts, sd {found.spread.cell:.2f} of a cell over seeds, margin 1 point: 'differs'"
        f" from a true difference of {_points(verdicts.differs_from)} on, 'reproduced' up to"
        f" {_points(verdicts.reproduced_to)};\n'consistent' and 'inconclusive' decide nothing."
        f" If all {verdicts.cells} published cells were truly reproduced,"
        f" {verdicts.false_differs:.2f} false 'differs' are to be expected."
    )


def _texts(kind: Decidable) -> tuple[str, str, str, str]:
    """The sd, the smallest difference, how many are decidable, and the seeds they need."""
    needed = sorted(n if n is not None else float("inf") for n in kind.seeds)
    ends = ["never" if n == float("inf") else f"{n:.0f}" for n in (needed[:1] + needed[-1:])]
    count = f"{kind.number} of {len(kind.distances)}"
    return (
        f"{kind.sd:.2f}{'' if kind.own else '*'}",
        f"{kind.smallest:.2f}",
        count,
        " to ".join(dict.fromkeys(ends)),
    )


def _points(number: float | None) -> str:
    return "none" if number is None else f"{number:.2f}"
