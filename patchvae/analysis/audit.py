"""The paper checked against itself and against our modules, without any training.

Four questions: do our modules have the published parameter counts; which claims hold as printed;
how far apart are published numbers that should agree; which published differences are larger than
that.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from statistics import stdev

from patchvae.analysis.printed import Check, Printed, as_printed
from patchvae.analysis.stats import difference_error, difference_noise
from patchvae.paper.claims import Part, load_claims
from patchvae.paper.published import accuracy, layers, parameters
from patchvae.study.address import CellKey
from patchvae.study.registry import DATASETS

# Rows whose configuration is the default by the text (A5): Table 5 joins by `default_beta_vis`.
ANCHORS = (("table1", "patchvae"), ("table3", "num_parts=16"), ("table3", "part_dim=6"))
ABLATED = ("cifar100", "indoor67")

Layers = Sequence[tuple[str, int]]


@dataclass(frozen=True)
class ParameterCheck:
    """A published parameter count against ours; `lines` compare the layers where they differ."""

    key: CellKey
    published: int
    ours: int
    lines: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        return self.published == self.ours


@dataclass(frozen=True)
class Candidate:
    """A row of Table 5 as the default: how far it lies from each row that has the default.

    `distances` are sums over datasets of squared differences in standard errors of the test set.
    """

    row: str
    values: tuple[float, ...]
    distances: tuple[float, ...]

    @property
    def total(self) -> float:
        return sum(self.distances)


@dataclass(frozen=True)
class Twins:
    """Published numbers of one dataset whose configurations coincide, in percent."""

    dataset: str
    cells: Mapping[CellKey, float]

    @property
    def spread(self) -> float:
        """The largest difference between two of them: the paper's own noise floor, in points."""
        return _spread(self.cells.values())

    @property
    def sd(self) -> float:
        return stdev(self.cells.values())

    @property
    def spread_by_text(self) -> float:
        """The spread without Table 5, whose default row is inferred and not printed."""
        return _spread(v for key, v in self.cells.items() if key.table != "table5")


@dataclass(frozen=True)
class Difference:
    """A published difference that a claim rests on, and the noise it has to exceed, in points."""

    part: str
    check: Check
    floor: float | None
    noise: float

    @property
    def size(self) -> float:
        return abs(self.check.difference or 0.0)

    @property
    def below_floor(self) -> bool:
        return self.floor is not None and self.size <= self.floor

    @property
    def below_noise(self) -> bool:
        return self.size <= self.noise


@dataclass(frozen=True)
class Audit:
    """Everything that `patchvae audit` shows."""

    parameters: tuple[ParameterCheck, ...]
    claims: tuple[Printed, ...]
    candidates: tuple[Candidate, ...]
    twins: tuple[Twins, ...]
    differences: tuple[Difference, ...]

    @property
    def default_beta_vis(self) -> Candidate:
        return nearest(self.candidates)

    @property
    def verdict_on_beta_vis(self) -> str:
        """Which row of Table 5 is nearest, and to how many of the anchors."""
        best = self.default_beta_vis
        rivals = [c.distances for c in self.candidates if c is not best]
        near = sum(
            distance < min(rival[i] for rival in rivals)
            for i, distance in enumerate(best.distances)
        )
        return f"{best.row}: nearest overall and to {near} of the {len(ANCHORS)} rows"

    @property
    def distinct_differences(self) -> list[Difference]:
        """The differences without those that several claims share."""
        return list({frozenset(d.check.cells): d for d in self.differences}.values())

    def differences_of(self, part: str) -> list[Difference]:
        return [d for d in self.differences if d.part == part]

    def above_noise(self, part: str) -> str:
        """`7 of 12`: the differences behind a part that are larger than test-set noise."""
        found = self.differences_of(part)
        return f"{sum(not d.below_noise for d in found)} of {len(found)}"


def audit(parts: Sequence[Part] | None = None) -> Audit:
    """The audit of the paper and of this installation's modules: seconds, no data, no training.

    `parts` are the claims to evaluate, by default C1-C12.
    """
    from patchvae.analysis.parameters import counts

    values = accuracy()
    candidates = beta_vis_candidates(values)
    twins = coinciding(values, nearest(candidates).row)
    claims = tuple(as_printed(parts or load_claims(), values))
    return Audit(
        parameters=parameter_checks(counts(), _our_layers),
        claims=claims,
        candidates=candidates,
        twins=twins,
        differences=differences(claims, values, twins),
    )


def parameter_checks(
    ours: Mapping[CellKey, int], our_layers: Callable[[CellKey], Layers]
) -> tuple[ParameterCheck, ...]:
    """Each of the 15 published counts beside ours, with the layers of those that differ."""
    found = []
    for key, count in parameters().items():
        equal = ours[key] == count
        lines = () if equal else tuple(layer_difference(layers(key), our_layers(key)))
        found.append(ParameterCheck(key, count, ours[key], lines))
    return tuple(found)


def layer_difference(printed: Layers, ours: Layers) -> list[str]:
    """Lines for the layers that only one side has, matched in order by their parameters."""
    matcher = SequenceMatcher(None, [n for _, n in printed], [n for _, n in ours], autojunk=False)
    lines = []
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag != "equal":
            lines += [f"paper: {name} ({count:,})" for name, count in printed[a:b]]
            lines += [f"ours: {name} ({count:,})" for name, count in ours[c:d]]
    return lines


def beta_vis_candidates(values: Mapping[CellKey, float]) -> tuple[Candidate, ...]:
    """Each row of Table 5 against the rows that have every default, on both ablated datasets."""
    rows = dict.fromkeys(key.row for key in values if key.table == "table5")
    return tuple(
        Candidate(
            row,
            tuple(values[_conv5("table5", row, dataset)] for dataset in ABLATED),
            tuple(_distance(values, ("table5", row), anchor) for anchor in ANCHORS),
        )
        for row in rows
    )


def nearest(candidates: Sequence[Candidate]) -> Candidate:
    """The candidate with the least total distance."""
    return min(candidates, key=lambda candidate: candidate.total)


def coinciding(values: Mapping[CellKey, float], default_row: str) -> tuple[Twins, ...]:
    """The numbers of each ablated dataset that share the default configuration at Conv5."""
    rows = (*ANCHORS, ("table5", default_row))
    return tuple(
        Twins(dataset, {key: values[key] for key in (_conv5(*row, dataset) for row in rows)})
        for dataset in ABLATED
    )


def differences(
    claims: Iterable[Printed], values: Mapping[CellKey, float], twins: Iterable[Twins]
) -> tuple[Difference, ...]:
    """Every difference that a claim rests on; the floor applies at Conv5, where the twins are."""
    floors = {(t.dataset, "conv5"): t.spread for t in twins}
    found = []
    for result in claims:
        for check in result.tested:
            a, b = check.cells
            noise = difference_noise(values[a], values[b], DATASETS[a.dataset].test)
            floor = floors.get((a.dataset, a.measure))
            found.append(Difference(result.part.id, check, floor, noise))
    return tuple(found)


def _our_layers(key: CellKey) -> Layers:
    from patchvae.analysis.parameters import layers as our_layers

    return our_layers(key)


def _conv5(table: str, row: str, dataset: str) -> CellKey:
    return CellKey(table, row, f"{dataset}-conv5")


def _distance(values: Mapping[CellKey, float], a: tuple[str, str], b: tuple[str, str]) -> float:
    total = 0.0
    for dataset in ABLATED:
        x, y = values[_conv5(*a, dataset)], values[_conv5(*b, dataset)]
        total += ((x - y) / difference_error(x, y, DATASETS[dataset].test)) ** 2
    return total


def _spread(values: Iterable[float]) -> float:
    found = list(values)
    return round(max(found) - min(found), 9)
