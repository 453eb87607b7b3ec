"""The arithmetic of verdicts. Accuracies are in percent, differences and errors in points.

A run tests n images; K seeds give K accuracies with mean m and sample standard deviation s; the
paper's one run gave a. What depends on a proportion takes p = a / 100: known before we run.
scipy.special holds what the standard library lacks and loads three times faster than scipy.stats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist, fmean, stdev

REPRODUCED, CONSISTENT, DIFFERS, INCONCLUSIVE = (
    "reproduced",
    "consistent",
    "differs",
    "inconclusive",
)
SMALL = 1.0  # points: the least difference that counts for anything

Interval = tuple[float, float]


@dataclass(frozen=True)
class Verdict:
    """What K accuracies say about one published accuracy, with the thresholds that decided."""

    word: str
    mean: float
    difference: float
    consistent_within: float
    margin: float


def normal_quantile(q: float) -> float:
    """z with P(Z <= z) = q for a standard normal Z."""
    return NormalDist().inv_cdf(q)


def student_quantile(q: float, df: float) -> float:
    """t with P(T <= t) = q for a Student T of `df` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(df, q))


def wilson(k: float, n: int, level: float = 0.95) -> Interval:
    """Wilson's interval for a proportion, k of n, as fractions of 1.

    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n) with p = k/n, z = z((1 + level)/2).
    """
    if not 0 <= k <= n or n < 1:
        raise ValueError(f"{k} of {n} is no proportion")
    z, p = normal_quantile((1 + level) / 2), k / n
    centre = p + z * z / (2 * n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def student_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """m -+ t((1 + level)/2, K - 1) s / sqrt(K), the interval of the mean over K >= 2 seeds."""
    m, K = fmean(values), len(values)
    half = student_quantile((1 + level) / 2, K - 1) * stdev(values) / sqrt(K)
    return m - half, m + half


def pooled_deviation(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Scatter within groups, with its degrees of freedom.

    s_p^2 = sum (K_g - 1) s_g^2 / sum (K_g - 1).

    Groups of one value say nothing and are left out; at least one must have two.
    """
    large = [values for values in groups if len(values) > 1]
    df = sum(len(values) - 1 for values in large)
    squares = sum((len(values) - 1) * stdev(values) ** 2 for values in large)
    return sqrt(squares / df), df


def least_significant_difference(sd: float, df: int, K: int) -> float:
    """What the means of two rows of K seeds differ by in 5 of 100 pairs without cause.

    t(0.975, df) sd sqrt(2/K).
    """
    return student_quantile(0.975, df) * sd * sqrt(2 / K)


def standard_error(accuracy: float, n_test: int) -> float:
    """Standard error in points of one accuracy over n test images: 100 sqrt(p(1-p)/n)."""
    p = accuracy / 100
    return 100 * sqrt(p * (1 - p) / n_test)


def margin(accuracy: float, n_test: int) -> float:
    """The smallest difference in points that matters: max(1, 2 standard errors of the test set)."""
    return max(SMALL, 2 * standard_error(accuracy, n_test))


def difference_error(a: float, b: float, n_test: int) -> float:
    """Standard error in points of a - b over n test images: sqrt(SE(a)^2 + SE(b)^2).

    As if each run had its own test images; runs that share them scatter less, so an upper bound.
    """
    return sqrt(standard_error(a, n_test) ** 2 + standard_error(b, n_test) ** 2)


def difference_noise(a: float, b: float, n_test: int) -> float:
    """What a - b reaches in 95 of 100 cases by the choice of test images alone: 1.96 errors."""
    return normal_quantile(0.975) * difference_error(a, b, n_test)


def consistent_within(values: Sequence[float], n_test: int, paper: float, runs: int = 1) -> float:
    """How far m may lie from one published run a and still be consistent with it, in points.

    t(0.975, K-1) s sqrt(1/L + 1/K) for K >= 2 seeds and the mean of L other runs, L = 1 for the
    paper's; 1.96 sqrt(2 p(1-p)/n) for one seed.
    """
    K = len(values)
    if K == 1:
        return difference_noise(paper, paper, n_test)
    return student_quantile(0.975, K - 1) * stdev(values) * sqrt(1 / runs + 1 / K)


def single_run_consistent(values: Sequence[float], n_test: int, paper: float) -> bool:
    """Whether |m - a| <= `consistent_within`."""
    return abs(fmean(values) - paper) <= consistent_within(values, n_test, paper)


def tost_reproduced(values: Sequence[float], n_test: int, paper: float) -> bool:
    """Whether the 90 % interval of m lies within a -+ `margin` (two one-sided tests at 5 %).

    Never for a single seed, which says nothing about the scatter between seeds.
    """
    if len(values) < 2:
        return False
    low, high = student_interval(values, 0.90)
    width = margin(paper, n_test)
    return paper - width <= low and high <= paper + width


def verdict(values: Sequence[float], n_test: int, paper: float) -> Verdict:
    """Reproduced, consistent, differs or inconclusive: the first whose condition holds.

    Reproduced by `tost_reproduced`; consistent by `single_run_consistent`; differs when |m - a|
    exceeds `margin`; inconclusive otherwise.
    """
    m = fmean(values)
    width = margin(paper, n_test)
    if tost_reproduced(values, n_test, paper):
        word = REPRODUCED
    elif single_run_consistent(values, n_test, paper):
        word = CONSISTENT
    elif abs(m - paper) > width:
        word = DIFFERS
    else:
        word = INCONCLUSIVE
    return Verdict(word, m, m - paper, consistent_within(values, n_test, paper), width)


def kendall_tau(a: Sequence[float], b: Sequence[float]) -> tuple[float, float] | None:
    """Kendall's tau-b between two rankings and its two-sided p value.

    None when there are fewer than two rows or one side is constant.
    """
    from scipy.stats import kendalltau

    if len(set(a)) < 2 or len(set(b)) < 2:
        return None
    result = kendalltau(a, b)
    return float(result.statistic), float(result.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the given order.

    The i-th smallest of M becomes max over j <= i of min(1, (M - j + 1) p_(j)).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted
