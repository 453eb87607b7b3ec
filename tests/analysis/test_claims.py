"""Claims are judged by paired contrasts: expected p values are scipy's or worked out by hand."""

from itertools import product
from statistics import fmean

import numpy as np
import pytest
import scipy.stats as reference
import yaml

from patchvae.analysis.claims import (
    CONTRADICTED,
    SO_FAR,
    SUPPORTED,
    UNDECIDED,
    UNTESTABLE,
    Evidence,
    at_least,
    every,
    exactly,
    judge,
)
from patchvae.analysis.paired import Sample
from patchvae.paper.claims import load_claims
from patchvae.paper.published import accuracy
from patchvae.study.address import CellKey

A, B, C = (f"table5/beta_vis={b}/cifar100-conv5" for b in ("0.06", "0.3", "0.6"))
LOSSES = ("", "-lw", "-gan", "-gan-lw")
N_TEST = {"cifar100": 10_000, "indoor67": 1_340, "places205": 20_500}
UP, DOWN, NOISE = [3.0, 3.2, 3.4], [-3.0, -3.2, -3.4], [0.5, -0.4, 0.1]


def samples(values):
    """Samples without predictions from accuracies by seed 0, 1, 2 ..."""
    return {
        CellKey.parse(cell): Sample(dict(enumerate(by_seed)), {})
        for cell, by_seed in values.items()
    }


def judged(tmp_path, part, values, cells=()):
    path = tmp_path / "claims.yaml"
    parts = [part] if isinstance(part, dict) else part
    parts = [{"says": "it", **fields} for fields in parts]
    path.write_text(yaml.safe_dump({"X": {"where": "here", "says": "it", "parts": parts}}))
    found = values if all(isinstance(k, CellKey) for k in values) else samples(values)
    known = [*found, *map(CellKey.parse, cells)]
    results = judge(load_claims(path), found, cells=known, n_test=N_TEST)
    return results[0] if isinstance(part, dict) else results


def against(by_seed):
    """Cells A and B whose difference by seed is given."""
    return {A: [50.0 + d for d in by_seed], B: [50.0] * len(by_seed)}


@pytest.mark.parametrize(
    ("part", "by_seed", "word"),
    [
        ({"greater": [A, B]}, UP, SUPPORTED),
        ({"greater": [A, B]}, DOWN, CONTRADICTED),
        ({"greater": [A, B]}, NOISE, UNDECIDED),
        ({"greater": [A, B]}, [-0.01, 0.02, -0.03], UNDECIDED),  # the sign decides nothing
        ({"greater": [A, B], "by": 2.0}, UP, SUPPORTED),
        ({"greater": [A, B], "by": 3.1}, UP, UNDECIDED),
        ({"greater": [A, B], "by": 5.0}, UP, CONTRADICTED),
        ({"not_greater": [A, B], "by": 5.0}, UP, SUPPORTED),
        ({"not_greater": [A, B], "by": 1.0}, UP, CONTRADICTED),
        ({"not_greater": [A, B], "by": 3.1}, UP, UNDECIDED),
        ({"close": [A, B], "by": 4.0}, UP, SUPPORTED),
        ({"close": [A, B], "by": 4.0}, DOWN, SUPPORTED),
        ({"close": [A, B], "by": 1.0}, UP, CONTRADICTED),
        ({"close": [A, B], "by": 1.0}, DOWN, CONTRADICTED),
        ({"close": [A, B], "by": 3.1}, UP, UNDECIDED),
        ({"close": [A, B], "by": 0.5}, NOISE, UNDECIDED),
    ],
)
def test_every_predicate_can_be_supported_contradicted_and_undecided(tmp_path, part, by_seed, word):
    assert judged(tmp_path, part, against(by_seed)).word == word


def test_a_difference_is_a_paired_t_test(tmp_path):
    result = judged(tmp_path, {"greater": [A, B]}, {A: [5.0, 6.0, 8.0], B: [4.5, 5.8, 7.0]})
    expected = reference.ttest_rel([5.0, 6.0, 8.0], [4.5, 5.8, 7.0])
    [contrast] = result.contrasts
    assert contrast.estimate.p() == pytest.approx(expected.pvalue)
    assert contrast.estimate.interval() == pytest.approx(tuple(expected.confidence_interval()))
    assert result.evidence.support == pytest.approx(expected.pvalue)
    assert result.evidence.against == 1.0
    assert contrast.text == f"{A} - {B}"


def test_a_chain_is_supported_by_every_step_and_contradicted_by_one(tmp_path):
    part, top = {"greater": [A, B, C]}, [60.0, 60.5, 61.1]
    middle, bottom = [55.0, 55.2, 55.9], [50.0, 50.3, 50.4]
    whole = judged(tmp_path, part, {A: top, B: middle, C: bottom})
    steps = [reference.ttest_rel(top, middle).pvalue, reference.ttest_rel(middle, bottom).pvalue]
    assert whole.evidence.support == pytest.approx(max(steps))
    assert (whole.word, whole.decisive.text) == (
        SUPPORTED,
        whole.contrasts[int(steps[1] > steps[0])].text,
    )
    broken = judged(tmp_path, part, {A: top, B: bottom, C: middle})
    p = reference.ttest_rel(bottom, middle).pvalue
    assert broken.evidence.against == pytest.approx(min(1, 2 * p))  # two steps
    assert broken.evidence.support == 1.0
    assert broken.decisive.text == f"{B} - {C}"


def test_four_identical_losses_count_as_one(tmp_path):
    """What is measured at one seed with four losses is one thing measured four times."""
    cells = ["table1/patchvae{loss}/cifar100-conv5", "table1/beta-vae{loss}/cifar100-conv5"]
    part = {"for": {"loss": list(LOSSES)}, "average": ["loss"], "greater": cells}
    left, right = [50.9, 51.3, 52.6], [50.0, 51.0, 52.0]
    values = {cells[0].replace("{loss}", loss): left for loss in LOSSES}
    values |= {cells[1].replace("{loss}", loss): right for loss in LOSSES}
    result = judged(tmp_path, part, values)
    [contrast] = result.contrasts
    assert contrast.text == f"{cells[0]} - {cells[1]}"
    assert result.evidence.support == pytest.approx(reference.ttest_rel(left, right).pvalue)
    apart = judged(tmp_path, {k: v for k, v in part.items() if k != "average"}, values)
    assert len(apart.contrasts) == 4


def test_losses_are_averaged_within_a_seed_and_a_common_row_counts_once(tmp_path):
    cells = ["table1/patchvae{loss}/cifar100-conv5", "table1/bigan/cifar100-conv5"]
    part = {"for": {"loss": ["", "-lw"]}, "average": ["loss"], "greater": cells}
    plain, weighted, bigan = [51.0, 53.0, 52.0], [55.0, 51.0, 53.5], [50.0, 51.0, 52.0]
    values = {cells[0].replace("{loss}", ""): plain, cells[0].replace("{loss}", "-lw"): weighted}
    result = judged(tmp_path, part, {**values, cells[1]: bigan})
    [contrast] = result.contrasts
    assert sorted(contrast.weights.values()) == [-1.0, 0.5, 0.5]
    means = np.mean([plain, weighted], axis=0)
    assert contrast.estimate.p() == pytest.approx(reference.ttest_rel(means, bigan).pvalue)


@pytest.mark.parametrize(("predicate", "sign"), [("rising", 1), ("falling", -1), ("not_rising", 1)])
def test_a_trend_is_the_mean_of_the_seeds_fitted_lines(tmp_path, predicate, sign):
    N = [4, 8, 16, 32, 64]
    cells = [f"table3/num_parts={n}/cifar100-conv5" for n in N]
    by_seed = np.array([[28.0, 29.1, 28.7, 30.2, 30.9], [27.5, 28.0, 29.5, 29.0, 31.0],
                        [28.3, 28.1, 28.8, 30.0, 29.9]])  # fmt: skip
    changes = [4 * reference.linregress(np.log2(N), values).slope for values in by_seed]
    values = dict(zip(cells, by_seed.T.tolist(), strict=True))
    result = judged(tmp_path, {predicate: cells[::-1], "by": 1.0}, values)
    [contrast] = result.contrasts
    assert contrast.estimate.difference == pytest.approx(sign * fmean(changes))
    expected = reference.ttest_1samp(np.multiply(sign, changes), 1.0)
    assert contrast.estimate.p(1.0) == pytest.approx(expected.pvalue)
    up = expected.statistic > 0
    supported, against = (up, not up) if predicate != "not_rising" else (not up, up)
    assert (result.evidence.support < 1) is bool(supported)
    assert (result.evidence.against < 1) is bool(against)


def test_a_sweep_of_two_settings_is_their_difference(tmp_path):
    cells = [f"table4/prior_vis={x}/cifar100-conv5" for x in (0.01, 0.05)]
    values = {cells[0]: [30.0, 31.0], cells[1]: [28.0, 29.5]}
    trend = judged(tmp_path, {"falling": cells}, values)
    pair = judged(tmp_path, {"greater": cells}, values)
    assert trend.evidence.support == pytest.approx(pair.evidence.support)
    assert trend.contrasts[0].text == "table4/prior_vis/cifar100-conv5, from 0.05 to 0.01"


def test_tost_at_its_boundary(tmp_path):
    """p is 5 % where an end of the 90 % interval is the threshold."""
    by_seed = [0.2, 0.5, 0.9]
    low, high = reference.ttest_1samp(by_seed, 0).confidence_interval(0.90)
    wide = float(max(-low, high))
    for by, word in [(wide, SUPPORTED), (wide - 1e-6, UNDECIDED)]:
        result = judged(tmp_path, {"close": [A, B], "by": by + 1e-9}, against(by_seed))
        assert result.word == word
        assert result.evidence.support == pytest.approx(0.05, abs=1e-5)


def test_a_threshold_is_taken_at_what_is_subtracted(tmp_path):
    cells = ["table1/patchvae{loss}/indoor67-conv5", "table1/beta-vae{loss}/indoor67-conv5"]
    part = {"for": {"loss": ["", "-lw"]}, "average": ["loss"], "greater": cells, "by": "margin"}
    values = {cells[0].replace("{loss}", loss): [40.0, 41.0] for loss in ("", "-lw")}
    values |= {"table1/beta-vae/indoor67-conv5": [10.0, 12.0]}
    values |= {"table1/beta-vae-lw/indoor67-conv5": [14.0, 16.0]}
    [contrast] = judged(tmp_path, part, values).contrasts
    # 13 % of 1,340 images: 200 sqrt(0.13 * 0.87 / 1340)
    assert contrast.by == pytest.approx(1.83744, abs=1e-4)


def test_holm_over_the_parts_for_and_against_apart(tmp_path):
    D, E = (f"table4/prior_vis={x}/cifar100-conv5" for x in ("0.01", "0.05"))
    noisy = {D: [51.0, 50.2, 50.3], E: [50.0, 50.1, 50.0]}
    parts = [{"greater": [A, B]}, {"greater": [D, E]}, {"greater": [B, A]}]
    results = judged(tmp_path, parts, against(UP) | noisy)
    p = reference.ttest_1samp(UP, 0).pvalue
    assert [r.adjusted.support for r in results] == pytest.approx(
        [3 * p, 2 * reference.ttest_rel(noisy[D], noisy[E]).pvalue, 1.0]
    )
    assert results[2].adjusted.against == pytest.approx(3 * p)
    assert [r.word for r in results] == [SUPPORTED, UNDECIDED, CONTRADICTED]
    clear = against([2.5, 3.2, 3.9])  # p = 0.0155: what one test supports twenty do not
    assert judged(tmp_path, {"greater": [A, B]}, clear).word == SUPPORTED
    many = judged(tmp_path, [{"greater": [A, B]}] * 20, clear)
    assert {r.word for r in many} == {UNDECIDED}


def test_at_least_spans_intersection_union_and_holms_first_step():
    p = [0.01, 0.2, 0.04]
    assert at_least(3, p) == 0.2
    assert at_least(2, p) == pytest.approx(2 * 0.04)
    assert at_least(1, p) == pytest.approx(3 * 0.01)
    assert (at_least(0, p), at_least(4, p), at_least(1, [])) == (0.0, 1.0, 1.0)


YES, NO, OPEN = Evidence(0.001, 1.0), Evidence(1.0, 0.001), Evidence(0.4, 1.0)


@pytest.mark.parametrize(
    ("k", "members", "support", "against"),
    [
        (2, (YES, YES, NO), True, False),
        (2, (YES, YES, OPEN), False, False),  # could still be three
        (2, (YES, NO, NO), False, True),  # cannot be reached
        (2, (YES, YES, YES), False, True),  # exceeded
        (2, (YES, NO, OPEN), False, False),
        (0, (NO, NO), True, False),
        (0, (NO, YES), False, True),
        (1, (YES,), True, False),
    ],
)
def test_a_count_is_judged_by_its_members(k, members, support, against):
    found = exactly(k, members)
    assert (found.support <= 0.05, found.against <= 0.05) == (support, against)


def test_a_count_is_wrong_no_oftener_than_a_single_test():
    """200,000 counts of three members without an effect each: no word more than 5 % of the time."""
    z = np.random.default_rng(0).standard_normal((200_000, 3))
    p = 2 * reference.norm.sf(np.abs(z))
    words = [0, 0]
    for signs, row in zip(z > 0, p, strict=True):
        if row.min() < 0.05:
            members = [
                Evidence(x if up else 1.0, 1.0 if up else x)
                for up, x in zip(signs, row, strict=True)
            ]
            found = exactly(2, members)
            words[0] += found.support <= 0.05
            words[1] += found.against <= 0.05
    assert max(words) / len(z) < 0.05


def test_every_is_the_weakest_for_and_the_strongest_against():
    found = every([Evidence(0.01, 1.0), Evidence(0.03, 0.9), Evidence(1.0, 0.004)])
    assert (found.support, found.against) == (1.0, pytest.approx(3 * 0.004))


def test_the_papers_count_of_datasets(tmp_path):
    """BiGAN clearly ahead on two of three: supported; on one or on three: contradicted."""
    part = {
        "for": {"dataset": list(N_TEST), "loss": list(LOSSES), "probe": ["conv1"]},
        "greater": ["table1/bigan/{dataset}-{probe}", "table1/patchvae{loss}/{dataset}-{probe}"],
        "count": {"of": "dataset", "each": "probe", "exactly": 2},
    }

    def with_ahead(*ahead):
        values = {}
        for dataset, loss in product(N_TEST, LOSSES):
            values[f"table1/patchvae{loss}/{dataset}-conv1"] = [50.0, 50.0, 50.0]
            up = UP if dataset in ahead else DOWN
            values[f"table1/bigan/{dataset}-conv1"] = [50 + 10 * d for d in up]
        return values

    two = with_ahead("cifar100", "places205")
    assert judged(tmp_path, part, two).word == SUPPORTED
    assert judged(tmp_path, part, with_ahead("cifar100")).word == CONTRADICTED
    assert judged(tmp_path, part, with_ahead(*N_TEST)).word == CONTRADICTED
    del two["table1/bigan/indoor67-conv1"]
    assert judged(tmp_path, part, two).word == UNTESTABLE


def test_absent_cells_leave_so_far_or_nothing_to_test(tmp_path):
    part = {"greater": [A, B, C]}
    values = against(UP)
    assert judged(tmp_path, part, values, cells=[C]).word == SO_FAR
    assert judged(tmp_path, part, {A: UP}, cells=[B, C]).word == UNTESTABLE
    down = judged(tmp_path, part, against(DOWN), cells=[C])
    assert (down.word, len(down.tested), len(down.contrasts)) == (CONTRADICTED, 1, 2)


def test_one_seed_without_predictions_says_nothing(tmp_path):
    result = judged(tmp_path, {"greater": [A, B]}, {A: [60.0], B: [50.0]})
    assert (result.word, result.seeds) == (UNTESTABLE, 0)


def test_one_seed_with_predictions_speaks_of_images_only(tmp_path):
    right = np.random.default_rng(1).random((2, 10_000)) < np.array([[0.6], [0.5]])
    found = {
        CellKey.parse(cell): Sample({0: 100 * correct.mean()}, {0: correct})
        for cell, correct in zip((A, B), right, strict=True)
    }
    result = judged(tmp_path, {"greater": [A, B]}, found)
    [contrast] = result.contrasts
    assert (contrast.estimate.basis, contrast.estimate.paired_t) == ("images", None)
    assert (result.word, result.seeds) == (SUPPORTED, 1)


def test_the_packages_claims_average_losses_and_nothing_else():
    """Three datasets of Table 1, so three contrasts where four losses are one."""
    values = {key: Sample({0: value}, {}) for key, value in accuracy().items()}
    results = judge(load_claims(), values, cells=(), n_test=N_TEST | {"imagenet": 50_000})
    counts = {r.part.id: len(r.contrasts) for r in results}
    assert counts == {
        "C1": 3, "C2a": 6, "C2b": 6, "C2c": 12, "C3a": 3, "C3b": 1, "C4a": 2, "C4b": 1, "C5a": 3,
        "C5b": 3, "C6": 24, "C7a": 81, "C7b": 8, "C8a": 2, "C8b": 4, "C9a": 1, "C9b": 1, "C10": 6,
        "C11": 2, "C12": 4,
    }  # fmt: skip
    [c3a] = [r for r in results if r.part.id == "C3a"]
    sizes = {c.binding["dataset"]: len(c.weights) for c in c3a.contrasts}
    assert sizes == {"cifar100": 6, "indoor67": 8, "places205": 8}  # without plain L2 on CIFAR100
