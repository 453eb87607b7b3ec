"""The scatter between seeds, column by column."""

import pytest

from patchvae.analysis.noise import Noise, seed_noise
from patchvae.study.address import CellKey

COLUMN = "cifar100-conv5"


def noises(table: str, rows: dict[tuple[str, str], dict[int, float]]) -> list[Noise]:
    """Of rows by key and model."""
    cells = ((CellKey(table, row, COLUMN), model, "conv5", v) for (row, model), v in rows.items())
    return seed_noise(cells)


def test_rows_that_are_the_same_runs_count_once() -> None:
    same = {0: 10.0, 1: 12.0, 2: 14.0}
    rows = {"num_parts=16": same, "part_dim=6": same, "num_parts=8": {0: 3.0, 1: 3.0, 2: 3.0}}
    (noise,) = noises("table3", {(row, "patchvae"): values for row, values in rows.items()})
    assert (noise.rows, noise.df, noise.seeds) == (2, 4, 3)
    assert noise.sd == pytest.approx(2**0.5)  # of variances 4 and 0


def test_the_fewest_seeds_of_a_row_decide_and_single_ones_are_left_out() -> None:
    rows = {
        ("patchvae", "patchvae"): {0: 1.0, 1: 2.0, 2: 3.0},
        ("patchvae-lw", "patchvae-lw"): {1: 4.0, 2: 6.0},
        ("patchvae-gan", "patchvae-gan"): {0: 50.0},
    }
    (noise,) = noises("table1", rows)
    assert (noise.rows, noise.df, noise.seeds) == (2, 3, 2)
    assert noise.difference == pytest.approx(3.182446 * noise.sd, rel=1e-6)  # t(0.975, 3)


def test_a_row_that_scatters_says_nothing_about_other_architectures() -> None:
    rows = {
        ("beta-vae-lw", "beta-vae-lw"): {0: 1.0, 1: 3.0},
        ("bigan", "bigan"): {0: 10.0, 1: 50.0},
        ("beta-vae-gan", "beta-vae-gan"): {0: 1.0, 1: 1.0},
    }
    vae, bigan = noises("table1", rows)
    assert (vae.architecture, vae.rows, vae.sd) == ("beta-vae", 2, 1.0)
    assert (bigan.architecture, bigan.rows) == ("bigan", 1)


def test_one_seed_says_nothing() -> None:
    assert noises("table1", {("bigan", "bigan"): {0: 1.0}}) == []


def test_an_untrained_trunk_says_nothing_about_the_same_trained_from_scratch() -> None:
    frozen, scratch = {0: 1.0, 1: 3.0}, {0: 80.0, 1: 80.0}
    key = CellKey("table1", "random", COLUMN)
    noise = seed_noise(
        [(key, "random", "conv5", frozen), (key._replace(row="top"), "random", "scratch", scratch)]
    )
    assert [(n.probe, n.rows, n.sd) for n in noise] == [
        ("conv5", 1, pytest.approx(2**0.5)),
        ("scratch", 1, 0),
    ]
