"""The tidy frame holds every accuracy once, with what it belongs to, in both files."""

import json
from pathlib import Path

import pandas as pd
import pytest

from patchvae.analysis.frame import accuracies

CELLS = Path(__file__).resolve().parents[2] / "published" / "results" / "fashion" / "cells"


@pytest.fixture(scope="module")
def cells() -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(CELLS.rglob("*.json"))]


def test_a_row_for_each_seed_of_each_cell(cells: list[dict]) -> None:
    frame = accuracies(cells)
    assert len(frame) == sum(len(cell["values"]) for cell in cells) > 100
    key = ["study", "table", "row", "column", "seed"]
    assert not frame.duplicated(key).any()
    found = frame.set_index(key).value
    for cell in cells:
        for seed, value in zip(cell["seeds"], cell["values"], strict=True):
            place = ("fashion", cell["table"], cell["row"], cell["column"], seed)
            assert found[place] == value


def test_hyper_parameters_are_those_of_the_run_and_empty_where_there_are_none(
    cells: list[dict],
) -> None:
    frame = accuracies(cells)
    swept = frame[frame.row == "num_parts=64"]
    assert set(swept.num_parts) == {64}
    assert set(swept.prior_vis) == {1 / 64}
    assert swept.latent_dim.isna().all()
    assert set(frame[frame.model == "bigan"].latent_dim) == {96}
    assert frame[frame.model == "bigan"].num_parts.isna().all()
    assert frame.paper.isna().all()


def test_both_files_give_the_frame_back(cells: list[dict], tmp_path: Path) -> None:
    frame = accuracies(cells)
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.parquet"), frame)
    frame.to_csv(tmp_path / "a.csv", index=False)
    read = pd.read_csv(tmp_path / "a.csv")
    pd.testing.assert_frame_equal(read, frame, check_dtype=False)
