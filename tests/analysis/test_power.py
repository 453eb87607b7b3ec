"""The closed forms of power against simulation and against tables."""

from math import sqrt
from statistics import stdev

import numpy as np
import pytest
import scipy.stats as reference
from click.testing import CliRunner

from patchvae.analysis.paired import Sample
from patchvae.analysis.power import (
    Spread,
    effect,
    p_differs,
    p_reproduced,
    plan,
    power,
    seeds_needed,
    spread_of,
    verdict_power,
)
from patchvae.analysis.stats import verdict
from patchvae.cli import cli
from patchvae.errors import ConfigError
from patchvae.paper.claims import load_claims
from patchvae.study.address import CellKey

SIMULATED = 20_000


@pytest.mark.parametrize(("K", "difference"), [(2, 4.0), (3, 0.9), (5, 0.5), (10, 0.2)])
def test_power_is_that_of_simulated_paired_t_tests(K, difference):
    rng = np.random.default_rng(K)
    d = rng.normal(difference, 0.3, (SIMULATED, K))
    test = reference.ttest_1samp(d, 0.0, axis=1)
    found = np.mean((test.pvalue < 0.05) & (d.mean(1) > 0))
    assert power(difference, 0.3, K) == pytest.approx(found, abs=4 * 0.5 / sqrt(SIMULATED))


def test_the_smallest_difference_of_five_seeds():
    assert effect(5) == pytest.approx(1.682, abs=1e-3)  # Cohen's d_z of G*Power for n = 5
    assert 0.3 * effect(5) == pytest.approx(0.505, abs=1e-3)
    assert power(0.3 * effect(5), 0.3, 5) == pytest.approx(0.8)


def test_the_seeds_needed_are_the_fewest():
    for difference in (0.2, 0.5, 1.0, -1.0):
        K = seeds_needed(difference, 0.3)
        assert power(difference, 0.3, K) >= 0.8 > power(difference, 0.3, K - 1)
    assert seeds_needed(5.0, 0.1) == 2
    assert seeds_needed(0.0, 0.3) is None


def test_how_many_of_the_papers_differences_five_seeds_decide():
    """Of Tables 1 and 4, counted by hand: those of at least 0.505 points."""
    parts = load_claims()
    found = {item.part.id: item for item in plan(parts, Spread.given(0.3, parts), 5, 0.05)}
    numbers = {name: (i.singles.number, len(i.singles.distances)) for name, i in found.items()}
    assert numbers["C1"] == (10, 12)  # not 0.15 and 0.37
    assert numbers["C4a"] == (4, 8)  # 0.04 0.27 0.34 0.39 are too small
    assert numbers["C11"] == (0, 4)  # 0.08 0.19 0.22 0.36
    assert numbers["C5b"] == (9, 12)  # 0.07 0.25 0.39 from the margin are too near
    # averaged over losses
    distances = [round(d, 4) for d in found["C1"].contrasts.distances]
    assert distances == [1.335, 1.36, 2.52]
    assert found["C1"].contrasts.number == 3


@pytest.mark.parametrize("K", [2, 5])
@pytest.mark.parametrize("difference", [0.0, 0.6, 1.5])
def test_the_verdicts_probabilities_are_those_of_simulated_verdicts(K, difference):
    rng = np.random.default_rng(10 * K)
    runs, n_test, sd = 4000, 10_000, 0.3
    words = []
    for _ in range(runs):
        paper = 30 + sd * rng.standard_normal()
        ours = 30 + difference + sd * rng.standard_normal(K)
        words.append(verdict(list(ours), n_test, paper).word)
    error = 4 * 0.5 / sqrt(runs)
    expected = p_differs(difference, sd, K, 1.0)
    assert words.count("differs") / runs == pytest.approx(expected, abs=error)
    expected = p_reproduced(difference, sd, K, 1.0)
    assert words.count("reproduced") / runs == pytest.approx(expected, abs=error)


def test_no_margin_leaves_five_percent_false_differs():
    assert p_differs(0.0, 0.3, 5, 0.0) == pytest.approx(0.05, abs=1e-3)
    loud = verdict_power(Spread("", {}, {}, 30.0), 5)  # margins are nothing against this scatter
    assert loud.false_differs == pytest.approx(0.05 * 128, rel=0.05)
    assert loud.reproduced_to is None
    quiet = verdict_power(Spread("", {}, {}, 0.05), 5)
    assert quiet.false_differs == pytest.approx(0.0, abs=1e-6)
    assert 1.0 < quiet.differs_from < 1.1


def test_the_spread_is_pooled_over_a_parts_differences():
    a, b = [50.0, 51.0, 52.5], [49.0, 51.0, 50.0]
    rows = {"0.06": b, "0.3": a, "0.6": [40.0, 40.5, 40.1]}
    samples = {
        CellKey("table5", f"beta_vis={x}", "cifar100-conv5"): Sample(dict(enumerate(values)), {})
        for x, values in rows.items()
    }
    found = spread_of(load_claims(), samples, {"cifar100": 10_000}, "here")
    sds = [stdev(np.subtract(a, rows[x])) for x in ("0.06", "0.6")]
    assert found.singles == {"C12": pytest.approx(sqrt((sds[0] ** 2 + sds[1] ** 2) / 2))}
    assert found.contrasts == found.singles
    assert found.cell == pytest.approx(sqrt(np.mean([stdev(v) ** 2 for v in rows.values()])))
    one = {key: Sample({0: 1.0}, {}) for key in samples}
    assert spread_of(load_claims(), one, {}, "here") is None


@pytest.mark.usefixtures("in_repo")
def test_the_command(monkeypatch):
    run = CliRunner()
    monkeypatch.setenv("COLUMNS", "160")
    done = run.invoke(cli, ["power", "--sd", "0.3", "--seeds", "5"])
    assert done.exit_code == 0, done.output
    assert "10 of 12" in done.output
    refused = run.invoke(cli, ["power", "demo"])
    assert isinstance(refused.exception, ConfigError)
    assert "give --seeds 2 or more" in str(refused.exception)
    assert run.invoke(cli, ["power", "--sd", "0"]).exit_code == 2
    assert run.invoke(cli, ["power", "--seeds", "1"]).exit_code == 2


@pytest.mark.usefixtures("in_repo")
def test_a_study_without_seeds_of_its_own_takes_the_published_ones():
    done = CliRunner().invoke(cli, ["power", "demo", "--seeds", "3"])
    assert "the published cells of study fashion" in " ".join(done.output.split())
