"""tests/fixtures/comparison has every verdict; its make.py writes the golden files."""

import importlib.util
import json
import shutil
from io import StringIO
from math import sqrt
from pathlib import Path

import pytest
from rich.console import Console

from patchvae.analysis.compare import compare, compare_study
from patchvae.errors import CheckpointError
from patchvae.report.compare_views import FORMATS, as_csv, as_html, as_markdown, write
from patchvae.report.published import PUBLISHED
from patchvae.report.terminal.comparison import show
from patchvae.runtime.results import read_result, write_result
from patchvae.study.address import CellKey
from patchvae.study.config import load_study

FIXTURE = Path(__file__).parent.parent / "fixtures" / "comparison"
_spec = importlib.util.spec_from_file_location("comparison_fixture", FIXTURE / "make.py")
fixture = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fixture)


@pytest.fixture
def root(tmp_path):
    for name in ("paper", "demo"):
        shutil.copytree(FIXTURE / name / "cells", tmp_path / "results" / name / "cells")
    return tmp_path


def run(root, study="paper", **more):
    return compare(
        load_study(study),
        root,
        fixture.expected(study),
        readings=fixture.our_readings(study),
        **more,
    )


def path_of(root, text, study="paper"):
    return root / "results" / study / "cells" / f"{text}.json"


def rewrite(root, text, **changes):
    """Change a cell and give it a digest that is right again."""
    path = path_of(root, text)
    body = {k: v for k, v in read_result(path, "cell").items() if k not in ("kind", "schema")}
    del body["digest"]
    write_result(path, "cell", {**body, **changes})


@pytest.mark.parametrize("study", ["paper", "demo"])
@pytest.mark.parametrize(
    "name", [*(f"comparison.{suffix}" for suffix in FORMATS), "accuracies.csv"]
)
def test_the_files_are_the_golden_ones_byte_by_byte(root, study, name):
    written = write(run(root, study), root)
    file = root / "results" / study / name
    assert file in written
    assert file.read_bytes() == (FIXTURE / study / file.name).read_bytes()


def test_every_verdict_is_in_the_fixture(root):
    words = {str(row.key): row.word for row in run(root).rows}
    assert words == {
        "table1/beta-vae/cifar100-conv5": "reproduced",
        "table1/beta-vae/indoor67-conv5": "consistent",
        "table1/beta-vae-lw/cifar100-conv5": "consistent",
        "table1/patchvae/cifar100-conv5": "inconclusive",
        "table1/patchvae/indoor67-conv5": "reproduced",
        "table1/patchvae-lw/cifar100-conv5": "differs",
        "table1/patchvae-gan/cifar100-conv5": "consistent",
        "table1/patchvae-gan-lw/cifar100-conv5": "failed",
        "table1/bigan/cifar100-conv5": "not run",
        "table1/bigan/indoor67-conv5": "differs",
        "table1/random/cifar100-conv5": "not in the paper",
        "table5/beta_vis=0.06/cifar100-conv5": "reproduced",
        "table5/beta_vis=0.3/cifar100-conv5": "reproduced",
        "table5/beta_vis=0.6/cifar100-conv5": "reproduced",
    }


def test_rankings_by_hand(root):
    # cifar100, paper 28.57 28.33 28.72 30.55 31.74, ours 28.57 28.83 29.62 34.20 31.90:
    # 8 of 10 pairs in the same order; indoor67, paper 13.06 13.43 9.70, ours 13.28 14.13 14.23:
    # 1 of 3
    rankings = {(r.table, r.axis, r.column): r for r in run(root).rankings}
    cifar = rankings["table1", "", "cifar100-conv5"]
    assert (cifar.rows, cifar.tau) == (5, pytest.approx(0.6))
    indoor = rankings["table1", "", "indoor67-conv5"]
    assert (indoor.rows, indoor.tau) == (3, pytest.approx(-1 / 3))
    assert rankings["table5", "beta_vis", "cifar100-conv5"].tau == pytest.approx(1.0)
    assert len(rankings) == 3


def test_claims_by_hand(root):
    comparison = run(root)
    claims = {r.part.id: r for r in comparison.claims}
    # differences by seed 0.40 0.10 0.50 and 1.60 1.20 1.60: t of 2 degrees is sqrt(100/13) and 11,
    # with p = 1 - t / sqrt(t^2 + 2)
    first, second = claims["C12"].contrasts[:2]
    assert first.estimate.difference == pytest.approx(1 / 3)
    assert first.estimate.p() == pytest.approx(1 - sqrt(50 / 63))
    assert second.estimate.p() == pytest.approx(1 - 11 / sqrt(123))
    assert claims["C12"].evidence.support == first.estimate.p()
    assert claims["C12"].decisive == first
    # a beta-VAE with Lw of three seeds, the same of PatchVAE: clearly better, and no other dataset
    words = {name: (r.word, len(r.tested), len(r.contrasts)) for name, r in claims.items()}
    assert words["C12"] == ("undecided", 2, 2)
    assert words["C2a"] == ("undecided", 2, 4)
    assert words["C2b"] == ("not testable here", 0, 4)  # PatchVAE-GAN has one seed of three
    assert words["C1"] == ("not testable here", 0, 2)  # four losses are one contrast
    assert words["C8a"] == ("not testable here", 0, 2)
    tested = [r for r in comparison.claims if r.adjusted is not None]
    assert [r.part.id for r in tested] == ["C2a", "C12"]
    assert claims["C12"].adjusted.support == pytest.approx(2 * claims["C12"].evidence.support)


def test_a_study_of_one_seed_gets_neither_claims_nor_verdicts(root):
    comparison = run(root, "demo")
    assert {row.word for row in comparison.rows} == {"done", "failed", "not run"}
    assert all(row.paper is None and row.verdict is None for row in comparison.rows)
    assert comparison.rankings == ()
    assert comparison.claims == ()
    text = as_markdown(comparison)
    assert "no claim of the paper is judged" in text
    assert "consistent within" not in text
    terminal = Console(record=True, width=200, file=StringIO())
    show(comparison, terminal)
    shown = terminal.export_text()
    assert "no claim of the paper is judged" in shown
    assert "supported" not in shown


def test_another_study_of_two_seeds_gets_claims_and_no_verdict():
    comparison = compare_study("fashion", root=PUBLISHED)
    assert all(row.paper is None and row.verdict is None for row in comparison.rows)
    assert {r.word for r in comparison.claims} == {"not testable here", "undecided"}
    assert "no claim of the paper is judged" not in as_markdown(comparison)


def test_nothing_run_is_a_comparison_too(tmp_path):
    comparison = run(tmp_path)
    assert comparison.counts == {"not run": 14}
    assert {r.word for r in comparison.claims} == {"not testable here"}


def test_mixed_data_are_refused_and_both_files_named(tmp_path):
    shutil.copytree(FIXTURE / "mixed", tmp_path / "results" / "paper")
    with pytest.raises(CheckpointError, match="data_digest") as caught:
        compare(load_study("paper"), tmp_path, fixture.expected("mixed"))
    for text in fixture.CELLS["mixed"]:
        assert str(path_of(tmp_path, text)) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change", [{"source_digest": "0" * 64}, {"data_digest": "0" * 64}, {"n_test": 9_999}]
)
def test_cells_of_a_data_set_must_agree(root, change):
    rewrite(root, "table5/beta_vis=0.3/cifar100-conv5", **change)
    with pytest.raises(CheckpointError, match=next(iter(change))):
        run(root)


def test_an_altered_value_is_refused(root):
    path = path_of(root, "table1/beta-vae/cifar100-conv5")
    body = json.loads(path.read_text())
    body["values"][0] += 1
    path.write_text(json.dumps(body))
    with pytest.raises(CheckpointError, match="altered"):
        run(root)


def test_a_truncated_file_is_refused(root):
    path = path_of(root, "table1/beta-vae/cifar100-conv5")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="truncated"):
        run(root)


def test_a_cell_in_the_place_of_another_is_refused(root):
    shutil.copy(
        path_of(root, "table1/beta-vae/cifar100-conv5"),
        path_of(root, "table1/patchvae/cifar100-conv5"),
    )
    with pytest.raises(CheckpointError, match="is the cell paper/table1/beta-vae/cifar100-conv5"):
        run(root)


def test_a_cell_of_another_study_is_refused(root):
    cell = "table1/beta-vae/cifar100-conv5"
    rewrite(root, cell, study="demo", paper=None)
    with pytest.raises(CheckpointError, match=f"is the cell demo/{cell}"):
        run(root)


def test_another_published_value_is_refused(root):
    rewrite(root, "table1/beta-vae/cifar100-conv5", paper=28.75)
    with pytest.raises(CheckpointError, match="another published value"):
        run(root)


def test_another_configuration_is_refused_when_the_caller_knows_the_right_one(root):
    key = CellKey.parse("table1/beta-vae/cifar100-conv5")
    right = read_result(path_of(root, str(key)), "cell")["config_digest"]
    assert run(root, config_digests={key: right}).rows
    with pytest.raises(CheckpointError, match="another configuration"):
        run(root, config_digests={key: "0" * 64})


def test_the_views_agree(root):
    comparison = run(root)
    csv_lines = as_csv(comparison).splitlines()
    assert len(csv_lines) == 1 + len(comparison.rows)
    page = as_html(comparison)
    assert page.count('class="reproduced"') == 5 + 1  # the cells and the line of the counts
    stream = StringIO()
    show(comparison, Console(file=stream, width=200))
    for text in (
        "5 reproduced",
        "consistent (2 failed)",
        "+0.33 (-0.18 to +0.85)",
        "beta_vis",
    ):
        assert text in stream.getvalue()


def test_an_error_message_cannot_break_a_page_or_a_table(root):
    rewrite(
        root,
        "table1/patchvae-gan-lw/cifar100-conv5",
        failed=[{"seed": 0, "error": "<script>a|b</script>"}],
    )
    comparison = run(root)
    assert "<script>" not in as_html(comparison)
    assert r"a\|b" in as_markdown(comparison)
