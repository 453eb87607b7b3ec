"""Cells: what they gather, and what they refuse."""

from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pytest
from made_results import write_probes
from scipy import stats
from small_study import edit_study, new_project

from patchvae.analysis.cells import read_cell, refuse_mixtures, sample_of, summarise, write_cell
from patchvae.errors import CheckpointError
from patchvae.runtime.results import read_result, write_result
from patchvae.study.tables import parse_cell

CELL = "demo/table5/beta_vis=0.06/parts32-conv5"


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Table 5 of the demo study with three seeds: 20.5, 21.5 and 22.5 %."""
    monkeypatch.chdir(tmp_path)
    new_project(tmp_path)
    edit_study("seeds: [0]", "seeds: [0, 1, 2]", "demo")
    write_probes("demo", "table5", lambda cell, seed: 20.5 + seed, n_test=200)


@pytest.mark.usefixtures("demo")
def test_statistics_are_those_of_the_seeds():
    cell = parse_cell(CELL)
    write_cell(cell)
    found = read_cell(cell)
    values = [20.5, 21.5, 22.5]
    assert found["values"] == values
    assert found["seeds"] == [0, 1, 2]
    assert found["mean"] == pytest.approx(fmean(values))
    assert found["sd"] == pytest.approx(stdev(values))
    assert found["interval_kind"] == "seeds and images"
    assert found["paper"] is None  # only the paper's study may be compared


@pytest.mark.usefixtures("demo")
def test_the_interval_covers_seeds_and_test_images():
    cell = parse_cell(CELL)
    found = write_cell(cell)
    half = (found["interval"][1] - found["interval"][0]) / 2
    over_seeds = stats.t.ppf(0.975, 2) * stdev(found["values"]) / 3**0.5
    assert sum(found["interval"]) / 2 == pytest.approx(fmean(found["values"]))
    assert half >= over_seeds - 1e-6  # never narrower, whatever the images add


@pytest.mark.usefixtures("demo")
def test_a_cell_has_every_answer_of_every_seed():
    cell = parse_cell(CELL)
    sample = sample_of(write_cell(cell))
    for probe in cell.probes():
        with np.load(probe.folder / "predictions.npz") as file:
            assert (sample.correct[probe.run.seed] == file["correct1"]).all()
    assert sample.values == {0: 20.5, 1: 21.5, 2: 22.5}
    published = {k: v for k, v in read_cell(cell).items() if k != "correct"}
    assert sample_of(published).correct == {}


@pytest.mark.usefixtures("demo")
def test_top5_has_its_own_answers():
    cell = parse_cell(CELL)
    column = replace(cell.column, metric="top5")
    folder = cell.probes()[0].folder
    with np.load(folder / "predictions.npz") as file:
        right = file["correct1"]
    np.savez(folder / "predictions.npz", correct1=right, correct5=~right)
    body = read_result(folder / "metrics.json", "probe", check_files=False)
    del body["digest"]
    write_result(folder / "metrics.json", "probe", body, ("predictions.npz",))
    found = sample_of(summarise(replace(cell, column=column)))
    assert (found.correct[0] == ~right).all()


@pytest.mark.usefixtures("demo")
def test_a_probe_without_predictions_is_refused():
    cell = parse_cell(CELL)
    (cell.probes()[1].folder / "predictions.npz").unlink()
    with pytest.raises(CheckpointError, match=r"seed1/conv5/predictions\.npz is missing"):
        write_cell(cell)


@pytest.mark.usefixtures("demo")
def test_a_missing_seed_is_refused_or_listed():
    cell = parse_cell(CELL)
    missing = cell.probes()[1].folder / "metrics.json"
    missing.unlink()
    with pytest.raises(CheckpointError, match=r"seed1/conv5/metrics\.json is missing"):
        write_cell(cell)
    partial = summarise(cell, partial=True)
    assert partial["values"] == [20.5, 22.5]
    assert partial["failed"] == []  # its job did not fail: it was not run


@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_a_damaged_result_is_named(damage):
    cell = parse_cell(CELL)
    path = cell.probes()[2].folder / "metrics.json"
    content = path.read_bytes()
    path.write_bytes(
        {"truncate": content[:-20], "flip": content.replace(b"22.5", b"32.5"), "empty": b""}[damage]
    )
    with pytest.raises(CheckpointError, match=r"seed2/conv5/metrics\.json"):
        write_cell(cell)


@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize("key", ["n_test", "data_digest", "source_digest"])
def test_seeds_of_different_experiments_are_not_mixed(key):
    cell = parse_cell(CELL)
    path = cell.probes()[0].folder / "metrics.json"
    body = read_result(path, "probe")
    write_result(path, "probe", {k: v for k, v in body.items() if k != "digest"} | {key: 7})
    with pytest.raises(CheckpointError, match=key):
        write_cell(cell)


@pytest.mark.usefixtures("demo")
def test_a_cell_of_an_edited_study_is_stale(tmp_path):
    write_cell(parse_cell(CELL))
    (tmp_path / "config").rename(tmp_path / "old")
    new_project(tmp_path)
    edit_study("seeds: [0]", "seeds: [0, 1, 2]", "demo")
    edit_study("value: 512", "value: 256", "protocol")
    with pytest.raises(CheckpointError, match="another configuration"):
        read_cell(parse_cell(CELL))
    with pytest.raises(CheckpointError, match="another configuration"):
        write_cell(parse_cell(CELL))


def test_neighbours_are_other_code_than_what_is_trained_on_the_same_images():
    def made(probe, **changes):
        shared = {"data_digest": "images", "n_test": 10, "source_digest": "training"}
        return Path(f"cells/parts32-{probe}.json"), {**shared, "probe": probe, **changes}

    trained = [made("conv5"), made("conv5-standardised")]
    refuse_mixtures(dict([*trained, made("knn", source_digest="voting")]))
    for wrong in (
        made("conv5-standardised", source_digest="older"),
        made("knn", data_digest="others"),
        made("knn", n_test=9),
    ):
        with pytest.raises(CheckpointError, match="differ in their"):
            refuse_mixtures(dict([*trained, wrong]))
