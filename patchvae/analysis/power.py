"""What K seeds can decide: of each claim, and of a verdict on a published number.

A paired t test of K differences with standard deviation s, two-sided at alpha, finds a difference d
> 0 with the power P(T > t(1 - alpha/2, K - 1)) for a noncentral T of K - 1 degrees, noncentrality
sqrt(K) d / s. Test images are left out: rows share them, so seeds are what K can mend. Holm is left
out too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import sqrt
from statistics import fmean, median

import numpy as np

from patchvae.analysis.claims import judge
from patchvae.analysis.paired import Estimate, Sample, contrast
from patchvae.analysis.printed import as_printed
from patchvae.analysis.stats import margin, pooled_deviation, student_quantile
from patchvae.paper.claims import PREDICATES, WITHIN, Part
from patchvae.paper.published import accuracy
from patchvae.study.address import CellKey
from patchvae.study.registry import DATASETS

POWER = 0.8
MOST_SEEDS = 1000
GRID = 2000  # quantiles of the seeds' sd, over which a verdict's probability is averaged


@dataclass(frozen=True)
class Spread:
    """Pooled standard deviations over seeds, in points.

    By part: `singles` of differences of two cells, `contrasts` of what is judged; a part
    that has none of its own takes the median of the others.
    """

    source: str
    singles: Mapping[str, float]
    contrasts: Mapping[str, float]
    cell: float

    @classmethod
    def given(cls, sd: float, parts: Iterable[Part]) -> "Spread":
        """One sd for every difference; a cell's is sd / sqrt(2), as if rows were independent."""
        sds = dict.fromkeys((part.id for part in parts), sd)
        return cls("as given", sds, sds, sd / sqrt(2))


@dataclass(frozen=True)
class Decidable:
    """What K seeds can decide of differences of the paper, `distances` from the threshold.

    `own` says whether the sd is that of the part's own differences.
    """

    sd: float
    own: bool
    smallest: float
    distances: tuple[float, ...]
    seeds: tuple[int | None, ...]  # that each would need; None above MOST_SEEDS

    @property
    def number(self) -> int:
        """Of the differences, how many are no smaller than `smallest`."""
        return sum(distance >= self.smallest for distance in self.distances)


@dataclass(frozen=True)
class PartPower:
    """A part's printed differences one by one, and its contrasts as they are judged."""

    part: Part
    singles: Decidable
    contrasts: Decidable


@dataclass(frozen=True)
class VerdictPower:
    """True distances from which a cell `differs` and up to which it is `reproduced`.

    In points, with 80 % power and a margin of one point; None where out of reach. `false_differs`
    is how many of the published cells are expected to differ when every one is truly reproduced.
    """

    differs_from: float | None
    reproduced_to: float | None
    false_differs: float
    cells: int


def power(difference: float, sd: float, K: int, alpha: float = 0.05) -> float:
    """The probability that a paired t test finds a true difference, its sign included."""
    from scipy.special import nctdtr

    t = student_quantile(1 - alpha / 2, K - 1)
    return 1 - float(nctdtr(K - 1, sqrt(K) * abs(difference) / sd, t))


@cache
def effect(K: int, alpha: float = 0.05) -> float:
    """The difference in standard deviations that K seeds find with 80 % power."""
    from scipy.optimize import brentq

    far = 2 * student_quantile(1 - alpha / 2, K - 1) / sqrt(K)  # found in 95 of 100 cases or more
    return float(brentq(lambda d: power(d, 1.0, K, alpha) - POWER, 0.0, far))


def seeds_needed(difference: float, sd: float, alpha: float = 0.05) -> int | None:
    """The fewest seeds, two or more, that find a difference; None above MOST_SEEDS."""
    low, high = 2, MOST_SEEDS
    if abs(difference) < effect(high, alpha) * sd:
        return None
    while low < high:
        middle = (low + high) // 2
        enough = abs(difference) >= effect(middle, alpha) * sd
        low, high = (low, middle) if enough else (middle + 1, high)
    return low


def spread_of(
    parts: Sequence[Part],
    samples: Mapping[CellKey, Sample],
    n_test: Mapping[str, int],
    source: str,
) -> Spread | None:
    """From a study's finished cells; None without two seeds of a difference."""
    means = {key: fmean(sample.values.values()) for key, sample in samples.items()}
    singles, contrasts = {}, {}
    for printed, judged in zip(
        as_printed(parts, means), judge(parts, samples, cells=(), n_test=n_test), strict=True
    ):
        pairs = [check.cells for check in printed.tested]
        found = [contrast([(1.0, samples[a]), (-1.0, samples[b])]) for a, b in pairs]
        singles[printed.part.id] = _pooled(found)
        contrasts[judged.part.id] = _pooled([c.estimate for c in judged.contrasts])
    seeds = [list(sample.values.values()) for sample in samples.values()]
    if not any(singles.values()) or not any(contrasts.values()):
        return None
    one, many = ({name: sd for name, sd in sds.items() if sd} for sds in (singles, contrasts))
    return Spread(source, one, many, pooled_deviation(seeds)[0])


def _pooled(estimates: Iterable[Estimate | None]) -> float | None:
    """Of the seeds' differences: s^2 = K seed_error^2 with K - 1 degrees of freedom each."""
    found = [e for e in estimates if e is not None and e.seed_error is not None]
    df = sum(e.seeds - 1 for e in found)
    squares = sum((e.seeds - 1) * e.seeds * (e.seed_error or 0.0) ** 2 for e in found)
    return sqrt(squares / df) if df else None


def plan(parts: Sequence[Part], spread: Spread, K: int, alpha: float) -> list[PartPower]:
    """What K seeds can decide of each part, on the paper's own differences."""
    values = accuracy()
    single = {key: Sample({0: value}, {}) for key, value in values.items()}
    n_test = {name: facts.test for name, facts in DATASETS.items()}
    found = []
    for printed, judged in zip(
        as_printed(parts, values), judge(parts, single, cells=(), n_test=n_test), strict=True
    ):
        part = printed.part
        singles = [_distance(part, c.difference or 0.0, c.by or 0.0) for c in printed.tested]
        contrasts = [
            _distance(part, sum(w * values[key] for key, w in c.weights.items()), c.by)
            for c in judged.contrasts
            if c.by is not None
        ]
        decidable = [
            _decidable(part, distances, sds, K, alpha)
            for distances, sds in ((singles, spread.singles), (contrasts, spread.contrasts))
        ]
        found.append(PartPower(part, *decidable))
    return found


def _distance(part: Part, difference: float, by: float) -> float:
    """How far a difference lies from its threshold, the nearer one where there are two."""
    if PREDICATES[part.predicate].test == WITHIN:
        difference = abs(difference)
    return round(abs(difference - by), 9)


def _decidable(
    part: Part, distances: Sequence[float], sds: Mapping[str, float], K: int, alpha: float
) -> Decidable:
    sd = sds.get(part.id, median(sds.values()))
    needed = tuple(seeds_needed(distance, sd, alpha) for distance in distances)
    return Decidable(sd, part.id in sds, effect(K, alpha) * sd, tuple(distances), needed)


def p_differs(difference: float, sd: float, K: int, width: float) -> float:
    """P(|m - a| > width and > t(0.975, K-1) s sqrt(1 + 1/K)): the verdict `differs`.

    m - a ~ N(difference, sd^2 (1 + 1/K)): the published run a is one more draw; s is independent of
    m.
    """
    spread = sd * sqrt(1 + 1 / K)
    t = student_quantile(0.975, K - 1) * sqrt(1 + 1 / K)
    return 1 - float(
        np.mean(_between(np.maximum(width, t * _deviations(sd, K)), difference, spread))
    )


def p_reproduced(difference: float, sd: float, K: int, width: float) -> float:
    """P(|m - a| + t(0.95, K-1) s / sqrt(K) <= width): the verdict `reproduced`."""
    half = student_quantile(0.95, K - 1) * _deviations(sd, K) / sqrt(K)
    room = np.maximum(width - half, 0.0)
    return float(np.mean(_between(room, difference, sd * sqrt(1 + 1 / K))))


def _between(limits: np.ndarray, mean: float, sd: float) -> np.ndarray:
    """P(|D| <= limit) for D ~ N(mean, sd^2), for each limit."""
    from scipy.special import ndtr

    return np.asarray(ndtr((limits - mean) / sd) - ndtr((-limits - mean) / sd))


def _deviations(sd: float, K: int) -> np.ndarray:
    """(GRID,): evenly spaced quantiles of the sample standard deviation of K seeds."""
    from scipy.special import chdtri

    return np.asarray(sd * np.sqrt(chdtri(K - 1, 1 - (np.arange(GRID) + 0.5) / GRID) / (K - 1)))


def verdict_power(spread: Spread, K: int) -> VerdictPower:
    """What the verdicts tell apart, and how often they err over the published cells."""
    sd, width = spread.cell, 1.0
    distances = np.linspace(0.0, 10.0, 1001)
    differ = [d for d in distances if p_differs(d, sd, K, width) >= POWER]
    equal = [d for d in distances if p_reproduced(d, sd, K, width) >= POWER]
    widths = [margin(value, DATASETS[key.dataset].test) for key, value in accuracy().items()]
    false = {width: p_differs(0.0, sd, K, width) for width in set(widths)}
    return VerdictPower(
        differs_from=min(differ, default=None),
        reproduced_to=max(equal, default=None),
        false_differs=sum(false[width] for width in widths),
        cells=len(widths),
    )
