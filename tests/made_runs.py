"""Results of trainings that were never run, written as the trainings themselves write them."""

from pathlib import Path
from typing import Any

import yaml
from made_results import write_predictions

from patchvae.analysis.cells import write_cell
from patchvae.runtime.results import read_result, write_result, write_text
from patchvae.runtime.stage import Config, source_of, stage_of
from patchvae.study import config, paths
from patchvae.study import tables as specs
from patchvae.study.runs import ProbeConfig
from patchvae.study.tables import Cell, parse_cell

CELL = "mini/table5/beta_vis=0.3/parts32-conv5"
IMAGES = "the images"
STUDY = """\
study: mini
title: a test
seeds: [0, 1]
datasets:
  parts32: {train: 80, test: 40}
protocol:
  model: {num_parts: 4, part_dim: 2}
  pretrain: {epochs: 2, batch_size: 16, lr: 1.0e-3}
  probe: {epochs: 4, batch_size: 16, lr_step: 2, hidden: 32}
tables:
  table4: {datasets: [parts32]}
  table5: {datasets: [parts32]}
"""


def write_study(text: str = STUDY) -> None:
    """The study `mini` in config/, read afresh."""
    Path("config/mini.yaml").write_text(text)
    for cached in (config.protocol, config.load_study, specs.read_spec, specs.load_table):
        cached.cache_clear()


def edit_study(old: str, new: str) -> None:
    """Replace a text that occurs once in the study."""
    text = Path("config/mini.yaml").read_text()
    assert text.count(old) == 1, old
    write_study(text.replace(old, new))


def write_stamp(dataset: str = "parts32", digest: str = IMAGES) -> None:
    """The stamp of a prepared dataset."""
    write_result(paths.prepared(dataset), "dataset", {"manifest": {"digest": digest}})


def write_training(training: Config, **changes: Any) -> dict[str, Any]:
    """metrics.json, config.yaml and (for a pretraining) the encoder of a finished training."""
    folder = training.run.folder / stage_of(training)
    write_text(folder / paths.RESOLVED, yaml.safe_dump(training.as_dict(), sort_keys=False))
    document = {
        "run": training.run.name,
        "config_digest": training.digest,
        "source_digest": source_of(training),
        "data_digest": IMAGES,
        "wall_seconds": 60.0,
        "provenance": {"device": "cpu"},
    }
    if isinstance(training, ProbeConfig):
        encoder = read_result(training.run.pretrain / paths.METRICS, "pretrain")
        document |= {"encoder": encoder["files"][paths.ENCODER], "n_test": 40, "top1": 20.0}
        document |= changes
        write_predictions(folder, document["top1"], document["n_test"])
        return write_result(folder / paths.METRICS, "probe", document, (paths.PREDICTIONS,))
    write_text(folder / paths.ENCODER, f"weights of {training.run.name}")
    files = (paths.RESOLVED, paths.ENCODER)
    return write_result(folder / paths.METRICS, "pretrain", document | changes, files=files)


def write_chain(cell: Cell, **probe_changes: Any) -> None:
    """Everything behind a cell, and the cell."""
    write_stamp(cell.dataset)
    for probe in cell.probes():
        write_training(probe.encoder)
        write_training(probe, **probe_changes)
    write_cell(cell)


def mini_cell() -> Cell:
    return parse_cell(CELL)
