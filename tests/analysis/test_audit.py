"""The audit's figures were worked out by hand from Tables 1, 3 and 5."""

import subprocess
import sys

import pytest

from patchvae.analysis import audit
from patchvae.analysis.printed import FAILS
from patchvae.paper.published import accuracy, layers, parameters
from patchvae.study.address import CellKey

HEAD = CellKey("table6", "encoder-patchvae", "cifar100")


@pytest.fixture(scope="module")
def result():
    return audit.audit()


def test_our_modules_have_every_published_parameter_count(result):
    assert len(result.parameters) == 15
    assert all(check.equal and not check.lines for check in result.parameters)


def test_our_layers_are_the_printed_ones_one_by_one():
    from patchvae.analysis.parameters import layers as ours

    for key in parameters():
        assert audit.layer_difference(layers(key), ours(key)) == [], key


def test_a_wrong_count_is_traced_to_its_layers():
    ours = {**parameters(), HEAD: parameters()[HEAD] - 16}
    without_bias = [
        (name, 18_432 if name.startswith("QV") else count) for name, count in layers(HEAD)
    ]
    checks = audit.parameter_checks(ours, lambda key: without_bias)
    [wrong] = [check for check in checks if not check.equal]
    assert wrong.key == HEAD
    assert wrong.lines == ("paper: QV 3x3x16 (18,448)", "ours: QV 3x3x16 (18,432)")


def test_a_layer_that_only_one_side_has_is_named():
    printed = [("a", 10), ("b", 20), ("c", 10)]
    assert audit.layer_difference(printed, printed) == []
    assert audit.layer_difference(printed, [("x", 10), ("z", 10)]) == ["paper: b (20)"]
    assert audit.layer_difference([("a", 10)], [("x", 10), ("y", 5)]) == ["ours: y (5)"]


def test_the_claims_are_those_on_the_papers_numbers(result):
    failing = {r.part.id for r in result.claims if r.status == FAILS}
    assert failing == {"C2a", "C2b", "C4a", "C5a", "C5b", "C6", "C9a"}


def test_numbers_that_should_agree_by_hand(result):
    cifar, indoor = result.twins
    assert list(cifar.cells.values()) == [28.72, 28.94, 28.97, 28.90]
    assert list(indoor.cells.values()) == [13.43, 14.33, 14.55, 13.51]
    assert [str(key) for key in cifar.cells] == [
        "table1/patchvae/cifar100-conv5",
        "table3/num_parts=16/cifar100-conv5",
        "table3/part_dim=6/cifar100-conv5",
        "table5/beta_vis=0.6/cifar100-conv5",
    ]
    assert (cifar.spread, indoor.spread) == (0.25, 1.12)
    assert (cifar.spread_by_text, indoor.spread_by_text) == (0.25, 1.12)
    # mean 28.8825; squares 0.02640625 + 0.00330625 + 0.00765625 + 0.00030625, over 3
    assert cifar.sd == pytest.approx(0.11206, abs=1e-5)


def test_the_default_beta_vis_is_computed(result):
    assert [c.row for c in result.candidates] == ["beta_vis=0.06", "beta_vis=0.3", "beta_vis=0.6"]
    best = result.default_beta_vis
    assert best.row == "beta_vis=0.6"
    # against Table 1: (0.18 / 0.64046)^2 + (0.08 / 1.31897)^2
    assert best.distances[0] == pytest.approx(0.08267, abs=1e-4)
    assert "3 of the 3 rows" in result.verdict_on_beta_vis


def test_other_numbers_give_another_default():
    values = dict(accuracy())
    for dataset in audit.ABLATED:
        for table, row in audit.ANCHORS:
            values[CellKey(table, row, f"{dataset}-conv5")] = values[
                CellKey("table5", "beta_vis=0.3", f"{dataset}-conv5")
            ]
    best = audit.nearest(audit.beta_vis_candidates(values))
    assert (best.row, best.total) == ("beta_vis=0.3", 0.0)
    assert {t.spread for t in audit.coinciding(values, best.row)} == {0.0}


def difference(result, part, row, dataset):
    [found] = [
        d
        for d in result.differences_of(part)
        if d.check.cells[0].row == row and d.check.cells[0].dataset == dataset
    ]
    return found


@pytest.mark.parametrize(
    ("part", "row", "dataset", "a", "b", "n", "floor", "within"),
    [
        ("C1", "patchvae", "cifar100", 28.72, 28.57, 10_000, 0.25, (True, True)),
        ("C1", "patchvae", "indoor67", 13.43, 13.06, 1_340, 1.12, (True, True)),
        ("C1", "patchvae", "places205", 11.09, 8.89, 20_500, None, (False, False)),
        ("C2b", "patchvae-gan", "indoor67", 14.55, 13.43, 1_340, 1.12, (True, True)),
        ("C5a", "patchvae", "cifar100", 28.72, 31.58, 10_000, 0.25, (False, False)),
        ("C3a", "patchvae-lw", "cifar100", 40.37, 40.30, 10_000, None, (False, True)),
        ("C11", "prior_vis=0.01", "cifar100", 28.86, 28.67, 10_000, 0.25, (True, True)),
    ],
)
def test_differences_against_floor_and_noise(result, part, row, dataset, a, b, n, floor, within):
    found = difference(result, part, row, dataset)
    assert found.size == pytest.approx(abs(a - b))
    assert found.floor == floor
    variance = (a * (100 - a) + b * (100 - b)) / n
    assert found.noise == pytest.approx(1.959964 * variance**0.5, rel=1e-6)
    assert (found.below_floor, found.below_noise) == within


def test_each_claim_says_how_many_of_its_differences_exceed_test_set_noise(result):
    # two of CIFAR100 above 1.3 points, none of Indoor67 above 2.5, all four of Places205
    assert result.above_noise("C1") == "6 of 12"
    assert result.above_noise("C4a") == "0 of 8"
    assert result.above_noise("C7a") == "81 of 81"


def test_differences_that_claims_share_are_counted_once(result):
    assert len(result.differences) == sum(len(r.tested) for r in result.claims)
    assert len(result.distinct_differences) == len(result.differences) - 12  # C5a and C5b


def test_the_statistics_and_claims_load_nothing_heavy():
    code = (
        "import sys, patchvae.analysis.audit, patchvae.analysis.printed, patchvae.analysis.stats\n"
        "assert not {'torch', 'scipy', 'pandas', 'jinja2', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
