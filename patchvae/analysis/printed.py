"""Claims on single numbers as they are printed, pair by pair.

A part expands to checks of two cells each; a check holds, does not hold, or has a cell that is
absent. Noise plays no part here: analysis/claims.py judges repeated runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from patchvae.analysis.stats import margin
from patchvae.paper.claims import ABOVE, AT_MOST, MARGIN, PREDICATES, Binding, Count, Part, Universe
from patchvae.study.address import CellKey
from patchvae.study.registry import DATASETS

HOLDS, FAILS = "holds as printed", "does not hold as printed"
UNPRINTED = "not testable here"


def points(difference: float) -> str:
    """A difference with its sign and two decimals, zero as +0.00."""
    return f"{round(difference, 2) + 0.0:+.2f}"


@dataclass(frozen=True)
class Check:
    """`cells[0]` against `cells[1]`: difference and threshold in points; None if absent."""

    cells: tuple[CellKey, CellKey]
    binding: Binding
    difference: float | None = None
    by: float | None = None
    holds: bool | None = None

    @property
    def sentence(self) -> str:
        """`a against b: +0.16, threshold 1.00`."""
        a, b = self.cells
        threshold = f", threshold {self.by:.2f}" if self.by else ""
        return f"{a} against {b}: {points(self.difference or 0.0)}{threshold}"


@dataclass(frozen=True)
class Tally:
    """The values of a count's `of` that hold in one group; is their number as claimed?"""

    group: str
    holding: tuple[str, ...]
    holds: bool | None

    @property
    def sentence(self) -> str:
        """`conv3: 1 (cifar100)`."""
        return f"{self.group}: {len(self.holding)} ({', '.join(self.holding) or 'none'})"


@dataclass(frozen=True)
class Printed:
    """A part and its checks."""

    part: Part
    checks: tuple[Check, ...]
    tallies: tuple[Tally, ...]

    @property
    def outcomes(self) -> list[bool | None]:
        """What has to hold: the groups of a count, otherwise the checks."""
        return [item.holds for item in (self.tallies or self.checks)]

    @property
    def status(self) -> str:
        """One counterexample is enough."""
        if False in self.outcomes:
            return FAILS
        return HOLDS if True in self.outcomes else UNPRINTED

    @property
    def score(self) -> str:
        """`10 of 12`, with what cannot be tested for want of a cell: `3 of 4, 8 absent`."""
        held, absent = self.outcomes.count(True), self.outcomes.count(None)
        what = " groups" if self.tallies else ""
        missing = f", {absent} absent" if absent else ""
        return f"{held} of {len(self.outcomes) - absent}{what}{missing}"

    @property
    def counterexamples(self) -> list[str]:
        """One sentence for each check, or group of a count, that does not hold."""
        if self.tallies:
            return [tally.sentence for tally in self.tallies if tally.holds is False]
        return [check.sentence for check in self.failed]

    @property
    def tested(self) -> list[Check]:
        return [check for check in self.checks if check.holds is not None]

    @property
    def failed(self) -> list[Check]:
        return [check for check in self.checks if check.holds is False]


def as_printed(parts: Iterable[Part], values: Mapping[CellKey, float]) -> list[Printed]:
    """Each part on `values`, one number in percent by cell.

    ConfigError for a table, row, dataset or measure that nobody knows.
    """
    universe = Universe(frozenset(values))
    return [_printed(part, values, universe) for part in parts]


def _printed(part: Part, values: Mapping[CellKey, float], universe: Universe) -> Printed:
    checks = tuple(
        _check(part, pair, binding, values)
        for binding, keys in part.expand(universe)
        for pair in PREDICATES[part.predicate].pairs(keys)
    )
    return Printed(part, checks, _tally(part.count, checks) if part.count else ())


def _check(
    part: Part, pair: tuple[CellKey, CellKey], binding: Binding, values: Mapping[CellKey, float]
) -> Check:
    if pair[0] not in values or pair[1] not in values:
        return Check(pair, binding)
    left, right = values[pair[0]], values[pair[1]]
    by = margin(right, DATASETS[pair[1].dataset].test) if part.by == MARGIN else float(part.by)
    difference = round(left - right, 9)  # 13.06 - 12.06 is one point, whatever binary makes of it
    return Check(pair, binding, difference, by, _holds(part, difference, by))


def _holds(part: Part, difference: float, by: float) -> bool:
    test = PREDICATES[part.predicate].test
    if test == ABOVE:
        return difference > by
    return difference <= by if test == AT_MOST else abs(difference) <= by


def _tally(count: Count, checks: Sequence[Check]) -> tuple[Tally, ...]:
    groups: dict[str, dict[str, list[bool | None]]] = {}
    for check in checks:
        members = groups.setdefault(check.binding[count.each], {})
        members.setdefault(check.binding[count.of], []).append(check.holds)
    return tuple(_group_tally(count, group, members) for group, members in groups.items())


def _group_tally(count: Count, group: str, members: Mapping[str, list[bool | None]]) -> Tally:
    """Not testable with a cell absent, or with fewer members than are claimed to hold."""
    holding = tuple(name for name, held in members.items() if all(held))
    absent = any(held is None for results in members.values() for held in results)
    if absent or len(members) < count.exactly:
        return Tally(group, holding, None)
    return Tally(group, holding, len(holding) == count.exactly)
