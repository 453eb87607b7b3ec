"""Differences of rows that share seeds and test images."""

import warnings
from math import sqrt

import numpy as np
import pytest
from scipy.stats import ttest_rel

from patchvae.analysis.paired import Estimate, R, Sample, cell_interval, contrast
from patchvae.analysis.stats import student_quantile, wilson


def sample(right: np.ndarray) -> Sample:
    """From correctness (K, n), seeds 0 to K - 1."""
    return Sample({k: 100 * row.mean() for k, row in enumerate(right)}, dict(enumerate(right)))


def pair(seed: int, K: int, n: int, own: float = 0.15, scatter: float = 0.02) -> list[Sample]:
    """Two rows of equal expectation: difficult images, effects of row and image, and of seeds.

    A single answer is drawn from its probability, which is the interaction of seed and image.
    """
    rng = np.random.default_rng(seed)
    difficulty = rng.uniform(-0.2, 0.2, n)
    chances = [
        0.5 + difficulty + rng.uniform(-own, own, n) + rng.normal(0, scatter, (K, 1))
        for _ in range(2)
    ]
    return [sample(rng.random((K, n)) < p) for p in chances]


def of(*terms: tuple[float, Sample]) -> Estimate:
    found = contrast(terms)
    assert found is not None
    return found


def difference(a: Sample, b: Sample) -> Estimate:
    return of((1, a), (-1, b))


def points(a: Sample, b: Sample) -> np.ndarray:
    """D (K, n) of a difference."""
    return 100.0 * (np.stack(list(a.correct.values())) - np.stack(list(b.correct.values())) * 1.0)


def variances(D: np.ndarray) -> tuple[float, float, float]:
    """Of the seeds' means, the images' means and the interaction."""
    K, n = D.shape
    rest = D - D.mean(0) - D.mean(1)[:, None] + D.mean()
    interaction = (rest**2).sum() / (K - 1) / (n - 1)
    return D.mean(1).var(ddof=1), D.mean(0).var(ddof=1), interaction


def test_without_predictions_it_is_the_paired_t_test_over_seeds() -> None:
    a, b = Sample({0: 50.0, 1: 53.0, 2: 51.5, 7: 1.0}, {}), Sample({2: 50.1, 1: 50.4, 0: 49.0}, {})
    found = difference(a, b)
    assert (found.basis, found.seeds) == ("seeds", 3)
    x, y = np.array([50.0, 53.0, 51.5]), np.array([49.0, 50.4, 50.1])
    for null in (0.0, 1.0):
        assert found.p(null) == pytest.approx(ttest_rel(x, y + null).pvalue)
        greater = ttest_rel(x, y + null, alternative="greater").pvalue
        assert found.p_above(null) == pytest.approx(greater)
        assert found.p_below(null) == pytest.approx(1 - greater)
    assert found.interval(0.9) == pytest.approx(tuple(ttest_rel(x, y).confidence_interval(0.9)))
    assert found.paired_t == found


def test_the_paired_t_stands_beside_the_bootstrap() -> None:
    a, b = pair(1, K=5, n=300)
    found, plain = difference(a, b), ttest_rel(list(a.values.values()), list(b.values.values()))
    assert found.paired_t is not None
    assert found.paired_t.p() == pytest.approx(plain.pvalue)
    assert found.paired_t.interval() == pytest.approx(tuple(plain.confidence_interval()))


def test_no_interval_is_narrower_than_the_paired_t() -> None:
    """Images raise the degrees of freedom, which alone would make some intervals narrower."""
    narrower = 0
    for seed in range(40):
        found = difference(*pair(seed, K=3, n=200))
        assert found.paired_t is not None
        ours, plain = found.interval(), found.paired_t.interval()
        assert ours[1] - ours[0] >= plain[1] - plain[0]
        assert found.p() >= found.paired_t.p()
        assert found.p_above() + found.p_below() == pytest.approx(1)
        narrower += student_quantile(0.975, found.df) * found.error < plain[1] - found.difference
    assert narrower


@pytest.mark.parametrize("scatter", [0.0, 0.05])
def test_the_error_is_that_of_a_bootstrap_written_out(scatter: float) -> None:
    """Effects rescaled to their estimated variances, then seeds and images drawn one by one."""
    a, b = pair(2, K=4, n=60, scatter=scatter)
    D = points(a, b)
    K, n = D.shape
    _, v_i, v_e = variances(D)
    seed_effect, image_effect = D.mean(1) - D.mean(), D.mean(0) - D.mean()
    seed_effect *= sqrt(K / (K - 1))
    image_effect *= sqrt(max(v_i - v_e / K, 0) / v_i * n / (n - 1))
    rng, means = np.random.default_rng(3), []
    for _ in range(4000):
        seeds, images = rng.integers(K, size=K), rng.integers(n, size=n)
        means.append(seed_effect[seeds].mean() + image_effect[images].mean())
    assert difference(a, b).error == pytest.approx(np.std(means), rel=0.06)


@pytest.mark.parametrize("seed", range(6))
def test_the_error_is_the_closed_form_up_to_chance(seed: int) -> None:
    a, b = pair(seed, K=3 + seed % 3, n=400, own=0.25)
    D = points(a, b)
    (K, n), (v_s, v_i, v_e) = D.shape, variances(D)
    closed = sqrt(v_s / K + max(v_i - v_e / K, 0) / n)
    assert difference(a, b).error == pytest.approx(closed, rel=4 / sqrt(2 * R))


def test_without_interaction_it_is_the_sum_of_both_variances() -> None:
    """One row right everywhere, the other wrong on images that all seeds share: no seed differs."""
    n, K = 500, 3
    wrong = np.zeros(n, dtype=bool)
    wrong[:40] = True
    found = difference(sample(np.ones((K, n), dtype=bool)), sample(np.tile(~wrong, (K, 1))))
    expected = 100 * sqrt(0.08 * 0.92 / (n - 1))
    assert found.difference == pytest.approx(8)
    assert found.error == pytest.approx(expected, rel=4 / sqrt(2 * R))
    assert found.df == pytest.approx(n - 1)


@pytest.mark.parametrize("K", [3, 5])
def test_the_95_percent_interval_covers_no_difference(K: int) -> None:
    studies = [difference(*pair(100 + i, K, n=400)) for i in range(400)]
    assert 0.91 <= np.mean([not e.excludes() for e in studies]) <= 0.985
    # ignoring the images that both rows share would make the interval far wider
    alone = np.mean([of((1, pair(100 + i, K, n=400)[0])).error for i in range(20)])
    assert np.mean([e.error for e in studies]) < 0.95 * sqrt(2) * alone


def test_one_seed_speaks_for_the_images_only() -> None:
    a, b = pair(5, K=1, n=900)
    found = difference(a, b)
    assert (found.basis, found.seeds, found.paired_t) == ("images", 1, None)
    closed = points(a, b)[0].std(ddof=1) / sqrt(900)
    assert found.error == pytest.approx(closed, rel=4 / sqrt(2 * R))
    assert contrast([(1, Sample({0: 50.0}, {})), (-1, b)]) is None


def test_only_seeds_that_all_terms_share_count() -> None:
    a, b = pair(6, K=4, n=200)
    fewer = Sample({k: a.values[k] for k in (3, 1)}, {k: a.correct[k] for k in (3, 1)})
    same = Sample({k: b.values[k] for k in (1, 3)}, {k: b.correct[k] for k in (1, 3)})
    assert difference(fewer, b) == difference(fewer, same)
    assert contrast([(1, a), (-1, Sample({9: 50.0}, {}))]) is None
    # predictions of one seed are missing: the seeds' accuracies are all there is
    partial = Sample(a.values, {k: a.correct[k] for k in (0, 1, 2)})
    assert difference(partial, b).basis == "seeds"


def test_equal_predictions_differ_by_nothing_for_sure() -> None:
    a, b = pair(7, K=3, n=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for found in (
            difference(a, a),
            of((1 / 3, a), (1 / 3, a), (1 / 3, a), (-1, a)),
            of((1, Sample(a.values, {})), (-1, a)),
            of((1, Sample({0: 1.0}, {0: b.correct[0]})), (-1, b)),
        ):
            assert (found.difference, found.error) == (0, 0)
            assert found.interval() == (0, 0)
            assert (found.p(), found.p_above(), found.p(1.0), found.p_below(1.0)) == (1, 1, 0, 0)


def test_an_average_over_losses_is_a_contrast() -> None:
    a, b, c, d = *pair(8, K=3, n=300), *pair(9, K=3, n=300)
    found = of((0.5, a), (0.5, b), (-0.5, c), (-0.5, d))
    D = (points(a, c) + points(b, d)) / 2
    assert found.difference == pytest.approx(D.mean())
    assert found.seed_error == pytest.approx(D.mean(1).std(ddof=1) / sqrt(3))


def test_the_order_of_questions_changes_nothing() -> None:
    made = [pair(seed, K=3, n=150) for seed in range(3)]
    forward = [difference(*two) for two in made]
    again = [pair(seed, K=3, n=150) for seed in range(3)]
    assert [difference(*two) for two in reversed(again)] == forward[::-1]


def test_other_test_sets_are_refused() -> None:
    with pytest.raises(ValueError, match="100 and 200 test images"):
        difference(pair(0, K=2, n=100)[0], pair(0, K=2, n=200)[0])


def test_a_cell_of_one_seed_has_wilsons_interval() -> None:
    for correct in ({}, {0: np.arange(10_000) < 2872}):
        (low, high), kind = cell_interval(Sample({0: 28.72}, correct), 10_000)
        assert kind == "wilson"
        assert (low / 100, high / 100) == pytest.approx(wilson(2872, 10_000))


def test_a_cell_without_predictions_has_both_variances() -> None:
    """Seeds that agree by chance leave the test set's error; many images the seeds'."""
    close = Sample({0: 84.43, 1: 84.435, 2: 84.425}, {})
    (low, high), kind = cell_interval(close, 10_000)
    assert kind == "seeds and images"
    assert (high - low) / 2 == pytest.approx(1.96 * 100 * sqrt(0.8443 * 0.1557 / 1e4), rel=1e-3)
    (low, high), _ = cell_interval(Sample({0: 80.0, 1: 82.0, 2: 84.0}, {}), 10**9)
    assert (high - low) / 2 == pytest.approx(4.302653 * 2 / sqrt(3), rel=1e-5)


def test_a_cell_with_predictions_has_the_interval_of_its_contrast() -> None:
    a, _ = pair(11, K=3, n=500)
    assert cell_interval(a, 500) == (of((1, a)).interval(), "seeds and images")
