"""The judgement of a cell computed again: its words, and how often it is wrong."""

import numpy as np
import pytest

from patchvae.analysis.paired import Sample
from patchvae.analysis.stats import DIFFERS, difference_noise, student_quantile
from patchvae.analysis.verification import EXPECTED, IDENTICAL, expected_within, verify


def sample(*values: float, correct: np.ndarray | None = None) -> Sample:
    right = {} if correct is None else dict(enumerate(correct))
    return Sample(dict(enumerate(values)), right)


def test_the_interval_is_students_and_the_test_images_in_quadrature() -> None:
    values, n = [81.0, 82.0, 83.0], 10_000
    seeds = student_quantile(0.975, 2) * 1.0 * (1 + 1 / 3) ** 0.5
    images = 1.96 * (2 * 82 * 18 / n) ** 0.5
    assert expected_within(values, 1, n) == pytest.approx((seeds**2 + images**2) ** 0.5, rel=1e-4)
    assert expected_within([82.0], 1, n) == difference_noise(82.0, 82.0, n)


def test_equal_accuracies_are_identical_only_with_equal_images() -> None:
    right = np.arange(8) < 4
    assert verify(sample(50.0), sample(50.0), 8).word == IDENTICAL  # nothing else is known
    old, same = sample(50.0, correct=right[None]), sample(50.0, correct=right[None])
    other = sample(50.0, correct=~right[None])
    assert verify(old, same, 8).word == IDENTICAL
    found = verify(old, other, 8)
    assert (found.word, found.images) == (EXPECTED, 8)


def test_only_the_seeds_trained_again_must_be_the_same() -> None:
    assert verify(sample(82.5, 82.7, 82.3), Sample({1: 82.7}, {}), 10_000).word == IDENTICAL


@pytest.mark.parametrize("false", [[85.5, 85.7, 85.3], [92.5, 82.7, 82.3]])
def test_published_values_that_are_false_differ(false: list[float]) -> None:
    """All of them, or the one that is trained again, which makes the scatter 25 times as large."""
    assert verify(sample(*false), sample(82.5), 10_000).word == DIFFERS


@pytest.mark.parametrize(("K", "L"), [(1, 1), (3, 1), (3, 3), (5, 1)])
def test_an_honest_cell_seldom_differs(K: int, L: int) -> None:
    """A run's accuracy is its own, that of the images beside it; 5 % would be two checks' most."""
    rng, n, tries = np.random.default_rng(K), 2_000, 1_000
    wrong = 0
    for _ in range(tries):
        chance = np.clip(0.82 + 0.3 * rng.standard_normal(n), 0.02, 0.98)
        shift = (0.0 if K == 1 else 0.005) * rng.standard_normal((K + L, 1))
        runs = 100 * (rng.random((K + L, n)) < chance + shift).mean(1)
        wrong += verify(sample(*runs[:K]), sample(*runs[K:]), n).word == DIFFERS
    assert wrong / tries < 0.05
