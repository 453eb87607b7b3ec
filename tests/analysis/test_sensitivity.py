"""Changes under other readings in closed form, their order, and claims that change their word."""

import csv
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pytest
from click.testing import CliRunner
from made_results import write_numbers
from small_study import TINY, write_study

from patchvae.analysis.cells import _pack
from patchvae.analysis.claims import CONTRADICTED, SUPPORTED
from patchvae.analysis.sensitivity import Sensitivity, sensitivity
from patchvae.analysis.stats import student_quantile
from patchvae.cli import cli
from patchvae.errors import CheckpointError
from patchvae.study.tables import load_table

THREE = TINY.replace("seeds: [0, 1]", "seeds: [0, 1, 2]")
BLOCK = "{rows: [beta-vae, patchvae], readings: [A4, A24], protocols: []}"
# accuracies by row, of three seeds: PatchVAE is 5 points above the beta-VAE, and with A24 5 below
VALUES = {
    "beta-vae": [20.0, 21.0, 22.0],
    "patchvae": [25.1, 25.9, 27.0],
    "patchvae,A4=beta-vis-0.3": [25.0, 26.5, 27.2],
    "patchvae,A4=release": [25.1, 25.9, 27.0],
    "beta-vae,A24=none": [25.0, 26.0, 27.0],
    "patchvae,A24=none": [20.1, 20.9, 22.0],
}


def judged(study: str, block: str, values: dict[str, list[float]]) -> Sensitivity:
    write_study("tiny", f"{study}sensitivity: {block}\n")
    for cell in load_table("tiny", "sensitivity").cells():
        write_numbers(cell, values[cell.row.key])
    return sensitivity("tiny")


def test_the_change_of_a_difference_is_its_paired_t(project: Path) -> None:
    found = judged(THREE, BLOCK, VALUES)
    effects = {effect.alternative.name: effect for effect in found.effects}
    for name, effect in effects.items():
        (moved,) = effect.differences
        gaps = [
            [p - b for p, b in zip(VALUES[f"patchvae{x}"], VALUES[beta], strict=True)]
            for x, beta in (
                ("", "beta-vae"),
                (f",{name}", "beta-vae,A24=none" if name == "A24=none" else "beta-vae"),
            )
        ]
        d = [after - before for before, after in zip(*gaps, strict=True)]
        half = student_quantile(0.975, 2) * stdev(d) / sqrt(3)
        assert moved.values == pytest.approx([fmean(gap) for gap in gaps])
        assert moved.change.difference == pytest.approx(fmean(d))
        assert moved.change.interval() == pytest.approx((fmean(d) - half, fmean(d) + half))
    # what moves most first, the alternatives of A4 together
    assert list(effects) == ["A24=none", "A4=beta-vis-0.3", "A4=release"]
    assert [effect.moves for effect in found.effects] == pytest.approx([10, 0.7 / 3, 0])
    words = [effect.differences[0].word for effect in found.effects]
    assert words == ["differs", "no difference shown", "no difference shown"]


def test_claims_that_change_their_word_are_told(project: Path) -> None:
    found = judged(THREE, BLOCK, VALUES)
    (claim,) = found.claims
    assert (claim.part.id, claim.word) == ("C1", SUPPORTED)
    assert (
        claim.part.says == "PatchVAE above beta-VAE with the same loss at Conv5 (loss plain only)"
    )
    turned = {e.alternative.name: found.turned(e) for e in found.effects}
    assert [b.word for _, b in turned.pop("A24=none")] == [CONTRADICTED]
    assert not any(turned.values())


def test_losses_are_averaged_over_those_that_the_study_names(project: Path) -> None:
    rows = [f"{model}{loss}" for model in ("beta-vae", "patchvae") for loss in ("", "-lw")]
    values = {
        f"{row}{x}": [20.0 + i + 3 * ("patch" in row) + ("-lw" in row) * ("patch" in row)
                      + 0.1 * k**2 * bool(x) for k in range(3)]
        for i, row in enumerate(rows) for x in ("", ",A24=none")
    }  # fmt: skip
    block = f"{{rows: [{', '.join(rows)}], readings: [A24], protocols: []}}"
    found = judged(THREE, block, values)
    c1 = next(claim for claim in found.claims if claim.part.id == "C1")
    assert c1.part.says.endswith("(loss plain, -lw only)")
    (only,) = c1.contrasts
    assert sorted(only.weights.values()) == [-0.5, -0.5, 0.5, 0.5]
    means = {row: fmean(values[row]) for row in rows}
    expected = (means[rows[2]] + means[rows[3]] - means[rows[0]] - means[rows[1]]) / 2
    assert only.estimate is not None
    assert only.estimate.difference == pytest.approx(expected)


def test_a_row_with_the_same_runs_cancels(project: Path) -> None:
    """Only PatchVAE depends on A4, so the difference changes as PatchVAE does, images and all."""
    write_study("tiny", f"{THREE}sensitivity: {BLOCK}\n")
    rng = np.random.default_rng(0)
    for cell in load_table("tiny", "sensitivity").cells():
        right = rng.random((3, 500)) < 0.3 + 0.2 * ("A4=release" in cell.row.key)
        values = [round(100 * float(row.mean()), 6) for row in right]
        write_numbers(cell, values, correct=[_pack(row) for row in right], n_test=500)
    effects = {effect.alternative.name: effect for effect in sensitivity("tiny").effects}
    for name in ("A4=release", "A4=beta-vis-0.3"):
        (pair,), (moved,) = effects[name].rows, effects[name].differences
        assert pair.estimate == moved.change
        assert moved.change.basis == "seeds and images"
    assert len(effects["A24=none"].rows) == 2


def test_the_files_have_every_change_and_the_same_bytes(project: Path) -> None:
    judged(THREE, BLOCK, VALUES)
    done = CliRunner().invoke(cli, ["sensitivity", "tiny"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert "contradicted: A24=none" in done.output
    files = [Path(f"results/tiny/sensitivity.{suffix}") for suffix in ("html", "md", "csv")]
    before = [file.read_bytes() for file in files]
    records = list(csv.DictReader(files[2].read_text().splitlines()))
    rows = [(r["alternative"], r["what"]) for r in records if r["kind"] == "row"]
    assert {f"{what.partition(',')[0]},{name}" for name, what in rows} == {
        key for key in VALUES if "," in key
    }
    differences = {r["alternative"]: r for r in records if r["kind"] == "difference"}
    assert len(differences) == 3
    assert float(differences["A24=none"]["change"]) == pytest.approx(-10)
    assert b"snakemake figures/tiny/sensitivity.pdf" in before[0]  # not drawn yet
    CliRunner().invoke(cli, ["sensitivity", "tiny"])
    assert [file.read_bytes() for file in files] == before


def test_one_seed_judges_no_claim(project: Path) -> None:
    one = TINY.replace("seeds: [0, 1]", "seeds: [0]")
    write_study("tiny", f"{one}sensitivity: {BLOCK}\n")
    for cell in load_table("tiny", "sensitivity").cells():
        right = np.arange(500) < 5 * VALUES[cell.row.key][0]
        write_numbers(cell, VALUES[cell.row.key][:1], correct=[_pack(right)], n_test=500)
    found = sensitivity("tiny")
    assert not any(found.turned(effect) for effect in found.effects)
    assert CliRunner().invoke(cli, ["sensitivity", "tiny"]).exit_code == 0
    page = Path("results/tiny/sensitivity.md").read_text()
    assert "no claim of the paper is judged on this study" in page.replace("\n", " ")
    assert "says nothing about other seeds" in page


def test_a_missing_or_stale_cell_is_refused(project: Path) -> None:
    judged(THREE, BLOCK, VALUES)
    cell = load_table("tiny", "sensitivity").cells()[-1]
    write_numbers(cell, VALUES[cell.row.key], config_digest="0" * 64)
    with pytest.raises(CheckpointError, match=r"patchvae,A24=none/parts32-conv5\.json"):
        sensitivity("tiny")
    cell.path.unlink()
    with pytest.raises(CheckpointError, match=r"patchvae,A24=none/parts32-conv5\.json"):
        sensitivity("tiny")
