"""The scatter between seeds, column by column."""

import pytest

from patchvae.paper.published import CellKey
from patchvae.report.noise import seed_noise

COLUMN = "cifar100-conv5"


def test_rows_that_are_the_same_runs_count_once() -> None:
    same = {0: 10.0, 1: 12.0, 2: 14.0}
    rows = {"num_parts=16": same, "part_dim=6": same, "num_parts=8": {0: 3.0, 1: 3.0, 2: 3.0}}
    (noise,) = seed_noise((CellKey("table3", row, COLUMN), v) for row, v in rows.items())
    assert (noise.rows, noise.df, noise.seeds) == (2, 4, 3)
    assert noise.sd == pytest.approx(2**0.5)  # of variances 4 and 0


def test_the_fewest_seeds_of_a_row_decide_and_single_ones_are_left_out() -> None:
    rows = {"a": {0: 1.0, 1: 2.0, 2: 3.0}, "b": {1: 4.0, 2: 6.0}, "c": {0: 50.0}}
    (noise,) = seed_noise((CellKey("table1", row, COLUMN), v) for row, v in rows.items())
    assert (noise.rows, noise.df, noise.seeds) == (2, 3, 2)
    assert noise.difference == pytest.approx(3.182446 * noise.sd, rel=1e-6)  # t(0.975, 3)


def test_one_seed_says_nothing() -> None:
    assert seed_noise([(CellKey("table1", "a", COLUMN), {0: 1.0})]) == []
