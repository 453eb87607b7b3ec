"""Two studies cell by cell: pairing, words, what cannot be compared."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from made_results import write_numbers
from small_study import MINI, inside, new_project, write_study

from patchvae.analysis.between import NONE_SHOWN, UNTESTABLE, Between, between
from patchvae.analysis.cells import _pack
from patchvae.analysis.stats import DIFFERS
from patchvae.cli import cli
from patchvae.errors import CheckpointError, ConfigError
from patchvae.study.tables import load_table

N = 1_000
RNG = np.random.default_rng(3)
CHANCE = np.clip(0.8 + 0.3 * RNG.standard_normal(N), 0.02, 0.98)


def right(shift: float, seeds: int) -> np.ndarray:
    """(K, N): some images are harder for every seed of both studies."""
    return RNG.random((seeds, N)) < CHANCE + shift


def write_right(study: str, rights: Sequence[np.ndarray], **changes: object) -> None:
    """The first cells of a study's Table 5, with these images right."""
    for cell, found in zip(load_table(study, "table5").cells(), rights, strict=False):
        values = [round(100 * float(row.mean()), 6) for row in found]
        packed = [_pack(row) for row in found]
        fields = {"correct": packed, "n_test": N, "metric": "top1", **changes}
        write_numbers(cell, values, **fields)


@pytest.fixture
def studies(tmp_path: Path):
    """Studies `mini` and `changed`, which keep one another's cells, in the current folder."""
    folder = new_project(tmp_path / "project", mini=MINI)
    with inside(folder):
        write_study("changed", MINI.replace("study: mini", "study: changed"))
        yield folder


def compared() -> Between:
    return between(Path("results/mini"), Path("results/changed"))


@pytest.mark.usefixtures("studies")
def test_a_change_of_all_images_is_told_from_noise() -> None:
    write_right("mini", [right(0, 3), right(0, 3), right(0, 3)])
    write_right("changed", [right(0, 3), right(-0.2, 3)])
    found = compared()
    assert [pair.word for pair in found.pairs] == [NONE_SHOWN, DIFFERS]
    assert found.alone == (1, 0)
    estimate = found.pairs[1].estimate
    assert estimate is not None
    assert estimate.difference == pytest.approx(-19, abs=3)  # second minus first
    assert estimate.basis == "seeds and images"
    plain = between(Path("results/mini"), Path("results/mini"))
    assert {(p.word, p.estimate.difference) for p in plain.pairs if p.estimate} == {(NONE_SHOWN, 0)}


@pytest.mark.usefixtures("studies")
def test_other_images_are_not_paired_by_image() -> None:
    write_right("mini", [right(0, 1), right(0, 3)])
    write_right("changed", [right(0, 1), right(0, 3)], data_digest="9" * 64)
    one, three = compared().pairs
    assert (one.word, one.estimate, one.same_images) == (UNTESTABLE, None, False)
    assert three.estimate is not None
    assert (three.estimate.basis, three.estimate.df) == ("seeds", 2)
    said = CliRunner().invoke(cli, ["compare", "mini", "changed"], env={"COLUMNS": "200"})
    assert "seeds; other test images" in said.output


@pytest.mark.usefixtures("studies")
def test_equal_cells_seldom_differ_however_many() -> None:
    """Holm: of 60 pairs of studies of three equal cells each at most 5 %, chance left aside."""
    wrong = 0
    for _ in range(60):
        write_right("mini", [right(0, 3)] * 3)
        write_right("changed", [right(0, 3) for _ in range(3)])
        wrong += any(pair.word == DIFFERS for pair in compared().pairs)
    assert wrong <= 7  # P(more | 5 %) = 0.01


@pytest.mark.usefixtures("studies")
def test_of_one_study_in_two_folders_the_paths_are_the_names(tmp_path: Path) -> None:
    write_right("mini", [right(0, 2)])
    with inside(new_project(tmp_path / "other", mini=MINI)):
        write_right("mini", [right(-0.3, 2)])
    arguments = ["compare", "mini", "mini", "--results", "../other/results"]
    said = CliRunner().invoke(cli, arguments, env={"COLUMNS": "240"})
    assert said.exit_code == 0, said.output
    assert "../other/results/mini minus results/mini" in said.output
    assert DIFFERS in said.output


@pytest.mark.usefixtures("studies")
def test_what_cannot_be_compared_is_named() -> None:
    write_right("mini", [right(0, 2)])
    with pytest.raises(ConfigError, match=r"results/changed \(0 cells\) have no cell of the same"):
        compared()
    cells = load_table("mini", "table5").cells()
    cells[0].path.parent.rename(cells[1].path.parent)
    with pytest.raises(CheckpointError, match=f"is the cell {cells[0].key}"):
        compared()
    wrong = CliRunner().invoke(cli, ["compare", "mini", "--results", "x"])
    assert wrong.exit_code == 2
