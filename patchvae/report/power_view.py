"""What a study's seeds can decide, on a terminal."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from patchvae.analysis.compare import compare_study
from patchvae.analysis.power import (
    POWER,
    Decidable,
    PartPower,
    Spread,
    VerdictPower,
    plan,
    spread_of,
    verdict_power,
)
from patchvae.errors import ConfigError
from patchvae.paper.claims import Part, load_claims
from patchvae.study.config import load_study

if TYPE_CHECKING:
    from rich.console import Console

# whose seeds stand in for a study that has none yet
PUBLISHED = ("fashion", Path("published"))


@dataclass(frozen=True)
class Power:
    """Everything that `patchvae power` shows."""

    study: str
    seeds: int
    alpha: float
    spread: Spread
    parts: tuple[PartPower, ...]
    verdicts: VerdictPower


def study_power(study: str, sd: float | None, seeds: int | None, alpha: float) -> Power:
    """What a study's seeds decide; the spread is `sd`, its cells', or the published study's.

    ConfigError for one seed, or where there is no spread to be had.
    """
    K = seeds or len(load_study(study).seeds)
    if K < 2:
        raise ConfigError(
            f"study {study} has one seed, which decides nothing: give --seeds 2 or more"
        )
    parts = load_claims()
    spread = Spread.given(sd, parts) if sd else _spread(study, parts)
    found = tuple(plan(parts, spread, K, alpha))
    return Power(study, K, alpha, spread, found, verdict_power(spread, K))


def _spread(study: str, parts: list[Part]) -> Spread:
    for name, root in ((study, Path()), PUBLISHED):
        rows = [row for row in compare_study(name, root=root).rows if row.values]
        samples = {row.key: row.sample for row in rows}
        n_test = {row.key.dataset: row.n_test for row in rows if row.n_test}
        where = (
            f"the published cells of study {name}" if root != Path() else "the study's own cells"
        )
        if spread := spread_of(parts, samples, n_test, where):
            return spread
    raise ConfigError(f"study {study} has no cell with two seeds yet: give --sd")


def show(found: Power, console: "Console") -> None:
    """A line for each part, then what the verdicts can tell apart."""
    from rich.table import Table

    title = (
        f"What {found.seeds} seeds decide with {POWER:.0%} power, two-sided at {found.alpha:g}; "
        f"spread over seeds: {found.spread.source}"
    )
    headings = (
        "claim",
        "says",
        "differences",
        "sd",
        "smallest",
        "of the paper's",
        "seeds they need",
    )
    table = Table(*headings, title=title)
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
