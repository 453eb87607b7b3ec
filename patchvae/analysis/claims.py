"""Judges claims by intervals over repeated runs: docs/claims.md has the language and the rule.

A part of a claim expands to contrasts, linear combinations of cells that share seeds and test
images. Each is judged by its paired estimate, and a part by what its contrasts say together.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log2
from statistics import fmean

from patchvae.analysis.paired import Estimate, Sample, contrast
from patchvae.analysis.stats import holm, margin
from patchvae.paper.claims import (
    ABOVE,
    AT_MOST,
    MARGIN,
    PREDICATES,
    Binding,
    Count,
    Part,
    Universe,
    setting,
)
from patchvae.study.address import CellKey

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
SO_FAR, UNTESTABLE = "supported so far", "not testable here"
LEVEL = 0.05

Weights = Mapping[CellKey, float]


@dataclass(frozen=True)
class Evidence:
    """p values of the statement being false (`support`) and of its being true (`against`)."""

    support: float
    against: float


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of cells in points, named by `text`; no estimate where cells are absent.

    `binding` has the part's variables that are not averaged, `by` the threshold in points.
    """

    part: Part
    binding: Binding
    text: str
    weights: Weights
    by: float | None = None
    estimate: Estimate | None = None

    @property
    def evidence(self) -> Evidence | None:
        """Two-sided p values against the threshold; within a threshold, two one-sided tests."""
        if self.estimate is None:
            return None
        found, by = self.estimate, self.by or 0.0
        above, below = min(1.0, 2 * found.p_above(by)), min(1.0, 2 * found.p_below(by))
        test = PREDICATES[self.part.predicate].test
        if test == ABOVE:
            return Evidence(above, below)
        if test == AT_MOST:
            return Evidence(below, above)
        within = max(found.p_above(-by), found.p_below(by))
        return Evidence(within, min(above, 2 * found.p_below(-by)))


@dataclass(frozen=True)
class Judged:
    """A part, its contrasts, and what they say together, before and after Holm."""

    part: Part
    contrasts: tuple[Contrast, ...]
    evidence: Evidence | None
    adjusted: Evidence | None = None

    @property
    def word(self) -> str:
        """Supported or contradicted at 5 % after Holm; `so far` where contrasts are absent."""
        if self.adjusted is None:
            return UNTESTABLE
        if self.adjusted.support <= LEVEL:
            return SUPPORTED if len(self.tested) == len(self.contrasts) else SO_FAR
        return CONTRADICTED if self.adjusted.against <= LEVEL else UNDECIDED

    @property
    def tested(self) -> list[Contrast]:
        return [c for c in self.contrasts if c.estimate is not None]

    @property
    def decisive(self) -> Contrast | None:
        """The contrast most against a contradicted part, or least for any other."""
        known = [(e, c) for c in self.contrasts if (e := c.evidence) is not None]
        if not known or self.adjusted is None:
            return None
        if self.word == CONTRADICTED:
            return min(known, key=lambda item: item[0].against)[1]
        return max(known, key=lambda item: (item[0].support, -item[0].against))[1]

    @property
    def seeds(self) -> int:
        """The fewest that a contrast rests on."""
        return min((c.estimate.seeds for c in self.contrasts if c.estimate), default=0)


def at_least(r: int, p_values: Sequence[float]) -> float:
    """p of 'fewer than r of m statements are true': (m - r + 1) p_(r), the r-th smallest.

    All of them (r = m) is the largest p, the intersection-union test; one of them (r = 1) is m
    times the smallest, the first step of Holm's (partial conjunction: Benjamini and Heller, 2008).
    """
    m = len(p_values)
    if not 0 < r <= m:
        return 0.0 if r <= 0 else 1.0
    return min(1.0, (m - r + 1) * sorted(p_values)[r - 1])


def every(items: Collection[Evidence]) -> Evidence:
    """Of 'all are true': support needs each of them, one that is false is against it."""
    m = len(items)
    return Evidence(
        at_least(m, [e.support for e in items]), at_least(1, [e.against for e in items])
    )


def exactly(k: int, items: Collection[Evidence]) -> Evidence:
    """Of 'k are true': k supported and the others contradicted; against it, one more of either."""
    support, against, rest = [e.support for e in items], [e.against for e in items], len(items) - k
    return Evidence(
        max(at_least(k, support), at_least(rest, against)),
        min(at_least(k + 1, support), at_least(rest + 1, against)),
    )


def judge(
    parts: Iterable[Part],
    samples: Mapping[CellKey, Sample],
    *,
    cells: Collection[CellKey],
    n_test: Mapping[str, int],
) -> list[Judged]:
    """Each part on `samples`, with Holm's correction over all that can be tested.

    `cells` are those that the study expects, `n_test` its test images by dataset. ConfigError for a
    table, row, dataset or measure that nobody knows.
    """
    universe = Universe(frozenset(cells) | samples.keys())
    found = []
    for part in parts:
        contrasts = tuple(_judge(c, samples, n_test) for c in expand(part, universe))
        found.append(Judged(part, contrasts, _evidence(part, contrasts)))
    known = [judged.evidence for judged in found if judged.evidence is not None]
    support, against = holm([e.support for e in known]), holm([e.against for e in known])
    adjusted = map(Evidence, support, against)
    return [replace(j, adjusted=next(adjusted)) if j.evidence else j for j in found]


def expand(part: Part, universe: Universe) -> list[Contrast]:
    """The contrasts of a part, for each binding of what is not averaged."""
    groups: dict[tuple[tuple[str, str], ...], list[list[CellKey]]] = {}
    for binding, keys in part.expand(universe):
        kept = tuple(item for item in binding.items() if item[0] not in part.average)
        groups.setdefault(kept, []).append(keys)
    found = []
    for kept, members in groups.items():
        for text, weights in _weights(part, members[0], part.texts(dict(kept))):
            total: dict[CellKey, float] = {}
            for keys in members:
                for key, weight in zip(keys, weights, strict=True):
                    total[key] = total.get(key, 0.0) + weight / len(members)
            used = {key: weight for key, weight in total.items() if weight}
            found.append(Contrast(part, dict(kept), text, used))
    return found


def _weights(
    part: Part, keys: Sequence[CellKey], texts: Sequence[str]
) -> list[tuple[str, list[float]]]:
    """Each contrast of the listed cells with its name.

    A sweep is the least-squares line over x = log2(setting), as the change that it fits from the
    lowest setting to the highest: (x_M - x_1) sum_i (x_i - mean x) y_i / sum_i (x_i - mean x)^2.
    """
    predicate = PREDICATES[part.predicate]
    if predicate.trend:
        x = [log2(setting(key)) for key in keys]
        centred = [value - fmean(x) for value in x]
        scale = predicate.trend * (x[-1] - x[0]) / sum(value**2 for value in centred)
        table, row, column = texts[0].split("/")
        low, high = (key.row.partition("=")[2] for key in (keys[0], keys[-1]))
        ends = f"from {low} to {high}" if predicate.trend > 0 else f"from {high} to {low}"
        name = f"{table}/{row.partition('=')[0]}/{column}, {ends}"
        return [(name, [scale * value for value in centred])]
    return [
        (f"{texts[a]} - {texts[b]}", [float(i == a) - float(i == b) for i in range(len(keys))])
        for a, b in predicate.pairs(range(len(keys)))
    ]


def _judge(
    found: Contrast, samples: Mapping[CellKey, Sample], n_test: Mapping[str, int]
) -> Contrast:
    if not found.weights.keys() <= samples.keys():
        return found
    estimate = contrast([(weight, samples[key]) for key, weight in found.weights.items()])
    return replace(found, by=_threshold(found, samples, n_test), estimate=estimate)


def _threshold(
    found: Contrast, samples: Mapping[CellKey, Sample], n_test: Mapping[str, int]
) -> float:
    """The part's number, or the margin at the mean accuracy of the cells that are subtracted."""
    if found.part.by != MARGIN:
        return float(found.part.by)
    lower = {key: -weight for key, weight in found.weights.items() if weight < 0}
    total = sum(weight * fmean(samples[key].values.values()) for key, weight in lower.items())
    dataset = next(iter(lower)).dataset
    return margin(total / sum(lower.values()), n_test[dataset])


def _evidence(part: Part, contrasts: Sequence[Contrast]) -> Evidence | None:
    """Of the contrasts together, or of a count's groups; None where nothing can be tested."""
    if part.count is None:
        items = [c.evidence for c in contrasts]
    else:
        names = dict.fromkeys(c.binding[part.count.each] for c in contrasts)
        each = part.count.each
        items = [_count(part.count, [c for c in contrasts if c.binding[each] == n]) for n in names]
    known = [item for item in items if item is not None]
    return every(known) if known else None


def _count(count: Count, contrasts: Sequence[Contrast]) -> Evidence | None:
    """Of one group of a count; None with a contrast absent or fewer members than are claimed."""
    members: dict[str, list[Evidence]] = {}
    for c in contrasts:
        if (evidence := c.evidence) is None:
            return None
        members.setdefault(c.binding[count.of], []).append(evidence)
    if len(members) < count.exactly:
        return None
    return exactly(count.exactly, [every(items) for items in members.values()])
