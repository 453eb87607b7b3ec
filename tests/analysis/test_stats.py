"""scipy.stats is the reference, hand-computed numbers are the second witness."""

from statistics import fmean, stdev

import pytest
from scipy import stats as reference

from patchvae.analysis import stats

SEEDS = [28.1, 28.9, 28.6, 29.3, 28.4]


@pytest.mark.parametrize(("k", "n"), [(0, 10), (1, 10), (193, 1340), (2872, 10_000), (50, 50)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_wilson_is_scipys(k, n, level):
    expected = reference.binomtest(k, n).proportion_ci(level, method="wilson")
    assert stats.wilson(k, n, level) == pytest.approx(tuple(expected), abs=1e-12)


def test_wilson_by_hand():
    # z^2 = 3.8415; 8 of 10: (0.8 + 0.19207 -+ 1.95996 sqrt(0.016 + 0.0096036)) / 1.38415
    assert stats.wilson(8, 10) == pytest.approx((0.49016, 0.94332), abs=1e-5)


@pytest.mark.parametrize(("k", "n"), [(-1, 10), (11, 10), (0, 0)])
def test_wilson_refuses_what_is_no_proportion(k, n):
    with pytest.raises(ValueError, match="no proportion"):
        stats.wilson(k, n)


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_student_interval_is_scipys(level):
    expected = reference.t.interval(level, 4, fmean(SEEDS), reference.sem(SEEDS))
    assert stats.student_interval(SEEDS, level) == pytest.approx(expected, abs=1e-9)


def test_student_interval_by_hand():
    # 10, 12, 14: m = 12, s = 2, t(0.975, 2) = 4.30265, half = 4.30265 * 2 / sqrt(3)
    assert stats.student_interval([10, 12, 14]) == pytest.approx((7.03172, 16.96828), abs=1e-5)


def test_margin_by_hand():
    assert stats.standard_error(50, 10_000) == pytest.approx(0.5)
    assert stats.margin(28.72, 10_000) == 1.0  # 2 SE = 0.905
    assert stats.margin(13.43, 1_340) == pytest.approx(1.86295, abs=1e-4)
    assert stats.difference_noise(50, 50, 10_000) == pytest.approx(1.38590, abs=1e-4)


def test_a_single_published_run_against_seeds_by_hand():
    # 10, 12, 14: t s sqrt(1 + 1/3) = 4.30265 * 2 * 1.15470 = 9.93655
    assert stats.consistent_within([10, 12, 14], 1000, 20) == pytest.approx(9.93655, abs=1e-4)
    assert stats.single_run_consistent([10, 12, 14], 1000, 21.93)
    assert not stats.single_run_consistent([10, 12, 14], 1000, 21.94)


def test_a_single_published_run_against_one_seed_by_hand():
    # a = 20, n = 1000: 1.95996 * 100 sqrt(2 * 0.16 / 1000) = 3.50609
    assert stats.consistent_within([24], 1000, 20) == pytest.approx(3.50609, abs=1e-4)
    assert stats.single_run_consistent([23.5], 1000, 20)
    assert not stats.single_run_consistent([23.6], 1000, 20)


@pytest.mark.parametrize("paper", [27.0, 27.7, 28.0, 28.6, 29.2, 29.5, 30.2])
def test_tost_is_two_one_sided_t_tests_at_five_percent(paper):
    width = stats.margin(paper, 10_000)
    above = reference.ttest_1samp(SEEDS, paper - width, alternative="greater").pvalue
    below = reference.ttest_1samp(SEEDS, paper + width, alternative="less").pvalue
    assert stats.tost_reproduced(SEEDS, 10_000, paper) == (max(above, below) <= 0.05)


@pytest.mark.parametrize(
    ("values", "paper", "word"),
    [
        ([28.7, 28.8, 28.9], 28.72, stats.REPRODUCED),
        ([29.3, 29.31, 29.32], 28.72, stats.REPRODUCED),  # outside the seeds' scatter, yet close
        ([27.0, 29.0, 31.0], 28.72, stats.CONSISTENT),
        ([28.72], 28.72, stats.CONSISTENT),  # one seed is never 'reproduced'
        ([30.5], 28.72, stats.DIFFERS),
        ([33.0, 33.2, 33.4], 28.72, stats.DIFFERS),
        ([29.5, 29.62, 29.74], 28.72, stats.INCONCLUSIVE),
    ],
)
def test_verdicts(values, paper, word):
    result = stats.verdict(values, 10_000, paper)
    assert result.word == word
    assert result.mean == pytest.approx(fmean(values))
    assert result.difference == pytest.approx(fmean(values) - paper)


def test_the_thresholds_of_the_inconclusive_verdict_by_hand():
    # s = 0.12; consistent within 4.30265 * 0.12 * 1.15470 = 0.59619 < 0.90 <= margin 1.00;
    # 90 % interval: 29.62 + 2.91999 * 0.12 / sqrt(3) = 29.822 > 28.72 + 1.00
    result = stats.verdict([29.5, 29.62, 29.74], 10_000, 28.72)
    assert result.consistent_within == pytest.approx(0.59619, abs=1e-4)
    assert result.margin == 1.0
    assert stats.student_interval([29.5, 29.62, 29.74], 0.9)[1] == pytest.approx(29.8223, abs=1e-4)


def test_a_noisy_suite_cannot_be_told_from_the_paper():
    values = [20.0, 30.0, 40.0]
    assert stats.verdict(values, 10_000, 45.0).word == stats.CONSISTENT
    assert stats.consistent_within(values, 10_000, 45.0) == pytest.approx(
        reference.t.ppf(0.975, 2) * stdev(values) * (4 / 3) ** 0.5
    )


def test_kendall_by_hand():
    # 1 2 3 4 against 1 2 4 3: five concordant pairs, one discordant
    tau, p = stats.kendall_tau([1, 2, 3, 4], [1, 2, 4, 3])
    assert tau == pytest.approx(4 / 6)
    assert p == pytest.approx(2 * 4 / 24)  # 1 + 3 of 24 orders have at most one discordant pair
    # one tie on the left: tau-b = (2 - 0) / sqrt(2 * 3)
    assert stats.kendall_tau([1, 1, 2], [1, 2, 3])[0] == pytest.approx(2 / 6**0.5)


def test_kendall_needs_two_different_numbers_on_each_side():
    assert stats.kendall_tau([1], [1]) is None
    assert stats.kendall_tau([1, 1, 1], [1, 2, 3]) is None


def test_holm_by_hand():
    # sorted 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1 is 0.02, 0.03, 0.06, 0.04, made monotone
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.9, 0.8]) == [1.0, 1.0]
    assert stats.holm([]) == []


def test_pooled_deviation_is_the_root_of_anovas_mean_square() -> None:
    groups = [[10.0, 12.0, 14.0], [3.0, 4.0], [7.0]]
    sd, df = stats.pooled_deviation(groups)
    assert (sd, df) == (pytest.approx(((2 * 4 + 0.5) / 3) ** 0.5), 3)


def test_two_rows_at_the_least_significant_difference_have_p_of_five_percent() -> None:
    a, b = [28.1, 28.9, 28.6], [27.5, 28.0, 28.6]
    sd, df = stats.pooled_deviation([a, b])
    shift = stats.least_significant_difference(sd, df, 3) - (fmean(a) - fmean(b))
    test = reference.ttest_ind([value + shift for value in a], b)
    assert test.pvalue == pytest.approx(0.05)
