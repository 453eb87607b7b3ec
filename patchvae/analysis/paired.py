"""Differences between cells, which share their seeds and their test images.

A contrast sum_c w_c accuracy_c has for seed k and image i the value

    D[k, i] = 100 sum_c w_c correct_c[k, i] = mu + a_k + b_i + e_ki        k < K, i < n

with variances of the seeds' means v_s, of the images' means v_i and of the rest v_e, all unbiased.
The mean of D scatters as sigma_s^2 / K + sigma_i^2 / n + sigma_e^2 / (K n), where v_s estimates
sigma_s^2 + sigma_e^2 / n and v_i estimates sigma_i^2 + sigma_e^2 / K. Resampling seeds and images
of D as it is would count e three times (Owen, The pigeonhole bootstrap, 2007), and e is the
largest part where two trainings differ in single images; so the seeds' means, which e is a part
of, and the images', freed of it, are first rescaled to their estimated variances (Carpenter,
Goldstein and Rasbash, 2003). The bootstrap's error is then, in expectation,

    error^2 = v_s / K + max(v_i - v_e / K, 0) / n

With three or five seeds the percentiles of a bootstrap are too narrow: intervals are Student's t,
with Satterthwaite's degrees of freedom from these two parts. Where most of the error is the seeds'
that still covers too seldom (92 % with three), so no interval is narrower than the paired t over
seeds. benchmarks/inference.py measures the coverage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from math import sqrt

import numpy as np

from patchvae.analysis.stats import Interval, standard_error, student_quantile, wilson
from patchvae.numerics.seeds import derive_seed

BASES = BOTH, IMAGES, SEEDS = "seeds and images", "images", "seeds"
WILSON = "wilson"
R = 2000  # resamples: their number leaves 1.6 % of chance in a standard error
DECIMALS = 9  # of a point: weights such as 1/3 cancel exactly


@dataclass(frozen=True, eq=False)
class Sample:
    """One cell: accuracies in percent by seed and, with predictions, which test images are right.

    `correct` is bool (n,) by seed, the images in the order of the prepared test set; empty without
    predictions.
    """

    values: Mapping[int, float]
    correct: Mapping[int, np.ndarray]

    @cached_property
    def resampled(self) -> dict[int, np.ndarray]:
        """Accuracies (R,) by seed over resampled test images, the same images for all samples of n.

        Sums of integers below 2^24, so exact in single precision and the same on every machine.
        """
        right = np.stack(list(self.correct.values())).astype(np.float32)  # (K, n)
        n, blocks = right.shape[1], np.array_split(_image_counts(right.shape[1]), 20)
        sums = np.concatenate([block.astype(np.float32) @ right.T for block in blocks])  # (R, K)
        return dict(zip(self.correct, 100 * sums.T.astype(np.float64) / n, strict=True))


@dataclass(frozen=True)
class Estimate:
    """A linear contrast of cells in points, paired by seed and test image.

    `basis` says what the standard error covers: seeds and images, images (one seed), or seeds (no
    predictions). `seed_error` is the plain s / sqrt(K) over the seeds' differences, None for one
    seed.
    """

    difference: float
    error: float
    df: float
    seeds: int
    basis: str
    seed_error: float | None

    @property
    def paired_t(self) -> "Estimate | None":
        """The plain paired t over seeds, K - 1 degrees of freedom; None for one seed."""
        if self.seed_error is None:
            return None
        return replace(self, error=self.seed_error, df=self.seeds - 1, basis=SEEDS)

    def interval(self, level: float = 0.95) -> Interval:
        """difference -+ the larger of t((1 + level) / 2, df) error, for both errors."""
        half = max(student_quantile((1 + level) / 2, df) * error for error, df in self._scatter)
        return self.difference - half, self.difference + half

    def excludes(self, null: float = 0.0, level: float = 0.95) -> bool:
        """Whether `null` lies outside the interval."""
        return self.p(null) < 1 - level

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of the contrast being `null`; 1 or 0 where nothing scatters."""
        return min(1.0, 2 * min(self.p_above(null), self.p_below(null)))

    def p_above(self, null: float = 0.0) -> float:
        """One-sided p of the hypothesis that the contrast is at most `null`."""
        return self._tail(self.difference - null)

    def p_below(self, null: float = 0.0) -> float:
        """One-sided p of the hypothesis that the contrast is at least `null`."""
        return self._tail(null - self.difference)

    @property
    def _scatter(self) -> list[tuple[float, float]]:
        """Errors with their degrees of freedom: this one's, and where there are seeds theirs."""
        seeds = [] if self.seed_error is None else [(self.seed_error, self.seeds - 1)]
        return [(self.error, self.df), *seeds]

    def _tail(self, beyond: float) -> float:
        """P(T >= beyond / error) for a Student T, by the error that makes the interval wider."""
        from scipy.special import stdtr

        if self.error == 0:
            return 0.0 if beyond > 0 else 1.0
        far = max(float(stdtr(df, -abs(beyond) / e)) for e, df in self._scatter if e)
        return far if beyond > 0 else 1 - far


def contrast(terms: Sequence[tuple[float, Sample]]) -> Estimate | None:
    """sum_c w_c accuracy_c over the seeds that all terms share, with its standard error.

    A difference of two rows is [(1, a), (-1, b)], their mean over losses has weights 1/4, a slope
    over a sweep has the centred values over their sum of squares, and one cell is [(1, a)]. None
    without a common seed, or with one seed and no predictions. ValueError when the terms have
    other test sets.
    """
    shared = set.intersection(*(set(sample.values) for _, sample in terms))
    seeds = sorted(shared)
    if all(shared <= sample.correct.keys() for _, sample in terms) and seeds:
        return _over_both(terms, seeds)
    if len(seeds) < 2:
        return None
    d = np.array([sum(w * sample.values[k] for w, sample in terms) for k in seeds])
    d = d.round(DECIMALS)
    error = float(d.std(ddof=1)) / sqrt(len(d))
    return Estimate(float(d.mean()), error, len(d) - 1, len(d), SEEDS, error)


def cell_interval(sample: Sample, n_test: int) -> tuple[Interval, str]:
    """The 95 % interval of a cell's mean in percent, and its kind: over both, or Wilson's.

    Wilson's over test images is for one seed. Without predictions p(1 - p) / n stands for the
    images' part: an upper bound, since some of it is in the scatter of the seeds too.
    """
    values, K = np.array(list(sample.values.values())), len(sample.values)
    m = float(values.mean())
    if K == 1:
        low, high = wilson(m / 100 * n_test, n_test)
        return (100 * low, 100 * high), WILSON
    estimate = contrast([(1, sample)])
    assert estimate is not None
    if estimate.basis == SEEDS:
        seeds, images = estimate.error**2, standard_error(m, n_test) ** 2
        df = _satterthwaite((seeds, K - 1), (images, n_test - 1))
        estimate = replace(estimate, error=sqrt(seeds + images), df=df)
    return estimate.interval(), BOTH


def _satterthwaite(*parts: tuple[float, float]) -> float:
    """Degrees of freedom of a sum of independent variances, each with its own; 1 if all are 0."""
    spread = sum(variance**2 / df for variance, df in parts if variance)
    return sum(variance for variance, _ in parts) ** 2 / spread if spread else 1.0


@dataclass(frozen=True)
class _Parts:
    """The seeds' means of D (K, n) and its unbiased variances; one seed has no scatter."""

    d: np.ndarray  # (K,): the seeds' means
    n: int
    v_s: float
    v_i: float
    v_e: float

    @classmethod
    def of(cls, D: np.ndarray) -> "_Parts":
        K, n = D.shape
        d, images = D.mean(1), D.mean(0)
        v_i = float(images.var(ddof=1))
        if K == 1:
            return cls(d, n, 0.0, v_i, 0.0)
        rest = D - d[:, None] - images + d.mean()
        v_e = float((rest**2).sum()) / ((K - 1) * (n - 1))
        return cls(d, n, float(d.var(ddof=1)), v_i, v_e)

    @property
    def sigma_i2(self) -> float:
        return max(self.v_i - self.v_e / len(self.d), 0.0)

    @property
    def df(self) -> float:
        """Satterthwaite's, of v_s / K and sigma_i^2 / n."""
        K, n = len(self.d), self.n
        return _satterthwaite((self.v_s / K, K - 1), (self.sigma_i2 / n, n - 1))


def _over_both(terms: Sequence[tuple[float, Sample]], seeds: Sequence[int]) -> Estimate:
    sizes = sorted({len(s.correct[k]) for _, s in terms for k in seeds})
    if len(sizes) > 1:
        raise ValueError(f"cells of {' and '.join(map(str, sizes))} test images cannot be paired")
    D = sum(100 * w * np.stack([s.correct[k] for k in seeds]) for w, s in terms)
    parts = _Parts.of(np.asarray(D).round(DECIMALS))
    X = sum(w * np.stack([s.resampled[k] for k in seeds], axis=1) for w, s in terms)  # (R, K)
    K = len(seeds)
    return Estimate(
        difference=float(parts.d.mean()),
        error=_bootstrap_error(parts, np.asarray(X).round(DECIMALS)),
        df=parts.df,
        seeds=K,
        basis=BOTH if K > 1 else IMAGES,
        seed_error=sqrt(parts.v_s / K) if K > 1 else None,
    )


def _bootstrap_error(parts: _Parts, X: np.ndarray) -> float:
    """Standard deviation of the mean over seeds and images resampled; X (R, K): only images."""
    K, n, mu = len(parts.d), parts.n, parts.d.mean()
    # what makes the variance of a resampled mean the estimated one: divisors and shared parts
    a = sqrt(_ratio(K, K - 1)) * (parts.d - mu)  # (K,)
    b = sqrt(_ratio(parts.sigma_i2, parts.v_i) * n / (n - 1)) * (X.mean(1) - mu)  # (R,)
    return float((_seed_counts(K) / K @ a + b).std(ddof=1))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


@lru_cache(maxsize=4)  # a study has few test sets; 100 MB for 50,000 images
def _image_counts(n: int) -> np.ndarray:
    """How often each of n images is drawn, uint8 (R, n): multinomial."""
    rng = np.random.default_rng(derive_seed("paired", "images", n))
    return np.stack(
        [np.bincount(rng.integers(n, size=n), minlength=n).astype(np.uint8) for _ in range(R)]
    )


@cache
def _seed_counts(K: int) -> np.ndarray:
    """How often each of K seeds is drawn, (R, K): multinomial."""
    rng = np.random.default_rng(derive_seed("paired", "seeds", K))
    return rng.multinomial(K, np.full(K, 1 / K), size=R)
