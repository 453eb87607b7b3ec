"""Evaluates claims about tables on any accuracies, the paper's or ours: docs/claims.md has the language.

A claim has parts, a part expands to checks of two cells each, and a check holds, does not hold, or has
a cell that is absent.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import combinations, pairwise, product

from patchvae.analysis.stats import SignTest, margin, sign_test
from patchvae.paper.claims import MARGIN, Count, Part, known
from patchvae.paper.published import CellKey, accuracy
from patchvae.registry import DATASETS, MODELS, lookup

HOLDS, SO_FAR = "holds", "holds so far"
FAILS, UNTESTABLE = "does not hold", "not testable here"

Pair = tuple[CellKey, CellKey]
Binding = dict[str, str]
Samples = Mapping[CellKey, Mapping[int, float]]


def points(difference: float) -> str:
    """A difference with its sign and two decimals, zero as +0.00."""
    return f"{round(difference, 2) + 0.0:+.2f}"


@dataclass(frozen=True)
class Check:
    """`cells[0]` against `cells[1]`: their difference and the threshold in points; None if absent."""

    cells: Pair
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
    """The values of a count's `of` that hold in one group, and whether their number is as claimed."""

    group: str
    holding: tuple[str, ...]
    holds: bool | None

    @property
    def sentence(self) -> str:
        """`conv3: 1 (cifar100)`."""
        return f"{self.group}: {len(self.holding)} ({', '.join(self.holding) or 'none'})"


@dataclass(frozen=True)
class Result:
    """A part, its checks, and the sign test over seeds where there are any."""

    part: Part
    checks: tuple[Check, ...]
    tallies: tuple[Tally, ...]
    sign: SignTest | None

    @property
    def outcomes(self) -> list[bool | None]:
        """What has to hold: the groups of a count, otherwise the checks."""
        return [item.holds for item in (self.tallies or self.checks)]

    @property
    def status(self) -> str:
        """`does not hold` needs one counterexample, `holds` needs every cell."""
        if False in self.outcomes:
            return FAILS
        if True not in self.outcomes:
            return UNTESTABLE
        return SO_FAR if None in self.outcomes else HOLDS

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


@dataclass(frozen=True)
class Universe:
    """The names a claim may use, and the cells that exist where it is evaluated."""

    cells: frozenset[CellKey]

    def rows(self, table: str) -> set[str]:
        rows = {key.row for key in self._known if key.table == table}
        return rows | set(MODELS) if rows & set(MODELS) else rows

    def measures(self, table: str) -> set[str]:
        return {key.measure for key in self._known if key.table == table}

    def datasets(self) -> set[str]:
        return set(DATASETS) | {key.dataset for key in self.cells}

    def has_column(self, key: CellKey) -> bool:
        return (key.table, key.column) in self._columns

    def check(self, key: CellKey, where: str) -> None:
        """ConfigError unless the table, row, dataset and measure of `key` are known."""
        tables = {other.table for other in self._known}
        known("table", key.table, tables, where)
        known("row", key.row, self.rows(key.table), where)
        known("dataset", key.dataset, self.datasets(), where)
        known("measure", key.measure, self.measures(key.table), where)

    @cached_property
    def _known(self) -> frozenset[CellKey]:
        return self.cells | accuracy().keys()

    @cached_property
    def _columns(self) -> set[tuple[str, str]]:
        return {(key.table, key.column) for key in self.cells}


def evaluate(
    parts: Iterable[Part],
    values: Mapping[CellKey, float],
    *,
    cells: Collection[CellKey] = (),
    n_test: Mapping[str, int] | None = None,
    samples: Samples | None = None,
) -> list[Result]:
    """Each part on `values` (percent by cell).

    `cells` are those that the study expects, where more than `values` has; `n_test` gives test images by
    dataset where they are not the published ones; `samples` gives the values by cell and pretraining
    seed, for the sign tests. ConfigError for a table, row, dataset or measure that nobody knows.
    """
    universe = Universe(frozenset(cells) | values.keys())
    images = {name: facts.test for name, facts in DATASETS.items()} | dict(n_test or {})
    return [_evaluate(part, values, universe, images, samples) for part in parts]


def _evaluate(
    part: Part,
    values: Mapping[CellKey, float],
    universe: Universe,
    images: Mapping[str, int],
    samples: Samples | None,
) -> Result:
    checks = tuple(
        _check(part, pair, binding, values, images)
        for binding, keys in _expand(part, universe)
        for pair in PREDICATES[part.predicate][0](keys)
    )
    tallies = _tally(part.count, checks) if part.count else ()
    tested = part.predicate == "greater" and part.count is None and samples is not None
    return Result(part, checks, tallies, _sign(checks, samples or {}) if tested else None)


def _check(
    part: Part,
    pair: Pair,
    binding: Binding,
    values: Mapping[CellKey, float],
    images: Mapping[str, int],
) -> Check:
    if pair[0] not in values or pair[1] not in values:
        return Check(pair, binding)
    left, right = values[pair[0]], values[pair[1]]
    n_test = lookup("dataset with a test set", images, pair[1].dataset)
    by = margin(right, n_test) if part.by == MARGIN else float(part.by)
    difference = round(left - right, 9)  # 13.06 - 12.06 is one point, whatever binary makes of it
    return Check(pair, binding, difference, by, PREDICATES[part.predicate][1](difference, by))


def _chain(keys: Sequence[CellKey]) -> list[Pair]:
    return list(pairwise(keys))


def _pairs(keys: Sequence[CellKey]) -> list[Pair]:
    return list(combinations(keys, 2))


# name -> (which pairs of the listed cells, what must be true of difference and threshold)
PREDICATES: dict[
    str, tuple[Callable[[Sequence[CellKey]], list[Pair]], Callable[[float, float], bool]]
] = {
    "greater": (_chain, lambda difference, by: difference > by),
    "not_greater": (_chain, lambda difference, by: difference <= by),
    "close": (_pairs, lambda difference, by: abs(difference) <= by),
}


def _expand(part: Part, universe: Universe) -> Iterator[tuple[Binding, list[CellKey]]]:
    """Every binding of the part's variables with its cells; a dataset pattern takes what exists."""
    where = f"claim {part.id}"
    choices = [
        [(value, False) for value in values]
        if name != "dataset"
        else [d for pattern in values for d in _matching(pattern, universe, where)]
        for name, values in part.variables.items()
    ]
    for chosen in product(*choices):
        binding = dict(zip(part.variables, (value for value, _ in chosen), strict=True))
        keys = part.cells(binding)
        for key in keys:
            universe.check(key, where)
        by_pattern = any(pattern for _, pattern in chosen)
        if by_pattern and not all(universe.has_column(key) for key in keys):
            continue
        if not any(binding.items() >= gap.items() for gap in part.excepted):
            yield binding, keys


def _matching(pattern: str, universe: Universe, where: str) -> list[tuple[str, bool]]:
    """Datasets that a name or pattern stands for, each with whether a pattern chose it."""
    datasets = [*DATASETS, *sorted(universe.datasets() - set(DATASETS))]
    matches = [name for name in datasets if fnmatchcase(name, pattern)]
    if not matches:
        known("dataset", pattern, datasets, where)
    return [(name, name != pattern) for name in matches]


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


def _sign(checks: Iterable[Check], samples: Samples) -> SignTest:
    """Sign test of difference - by, clustered by dataset and seed: other clusters share no run."""
    clusters: dict[tuple[str, int], list[float]] = {}
    for check in checks:
        left, right = (samples.get(cell, {}) for cell in check.cells)
        for seed in sorted(left.keys() & right.keys()):
            difference = round(left[seed] - right[seed], 9) - (check.by or 0.0)
            clusters.setdefault((check.cells[0].dataset, seed), []).append(difference)
    return sign_test(clusters.values())
