"""Results of jobs that were never run, written as the jobs themselves write them."""

import io
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import yaml

from patchvae.analysis.cells import write_cell
from patchvae.numerics.seeds import derive_seed
from patchvae.paper.published import accuracy
from patchvae.runtime.results import read_result, write_bytes, write_result, write_text
from patchvae.runtime.stage import Config, source_of, stage_of
from patchvae.study import paths
from patchvae.study.runs import ProbeConfig
from patchvae.study.tables import Cell, load_table, parse_cell

CELL = "mini/table5/beta_vis=0.3/parts32-conv5"
IMAGES = "the images"
Score = Callable[[Cell, int], float]


def near_paper(cell: Cell, seed: int) -> float:
    """The paper's number and a quarter of a point, up for one of two seeds, which one by row."""
    up = (seed + len(cell.row.key)) % 2
    return accuracy()[cell.address] + (0.25 if up else -0.25)


def write_predictions(folder: Path, accuracy: float, n_test: int) -> None:
    """predictions.npz with so many right test images, in an order of the probe's own."""
    order = np.random.default_rng(derive_seed(*folder.parts)).permutation(n_test)
    right, buffer = order < round(accuracy / 100 * n_test), io.BytesIO()
    np.savez_compressed(buffer, correct1=right, correct5=right)
    write_bytes(folder / paths.PREDICTIONS, buffer.getvalue())


def write_probes(study: str, table: str, score: Score, n_test: int = 10_000) -> list[Path]:
    """metrics.json and predictions.npz of every probe that a table needs, and nothing before it."""
    written = {}
    for cell in load_table(study, table).cells():
        for probe in cell.probes():
            value = round(score(cell, probe.run.seed), 6)
            document = {
                "run": probe.run.name,
                "probe": probe.name,
                "config_digest": probe.digest,
                "data_digest": f"images of {cell.dataset}",
                "source_digest": "the code",
                "n_test": n_test,
                "top1": value,
                "top5": value,
            }
            path = probe.folder / paths.METRICS
            write_predictions(probe.folder, value, n_test)
            written[path] = write_result(path, "probe", document, (paths.PREDICTIONS,))
    return list(written)


def write_numbers(cell: Cell, values: list[float], **changes: Any) -> None:
    """A cell's file with these accuracies, and nothing before it."""
    published = accuracy().get(cell.address)
    document = {
        "study": cell.study.name,
        **cell.address._asdict(),
        "model": cell.row.model,
        "probe": cell.probes()[0].name,
        "metric": cell.column.metric,
        "seeds": list(range(len(values))),
        "values": values,
        "failed": [],
        "n_test": 10_000,
        "mean": fmean(values),
        "sd": 0.1,
        "interval": [min(values) - 1, max(values) + 1],
        "interval_kind": "seeds and images",
        "paper": published if cell.study.is_the_papers else None,
        "config_digest": cell.config_digest,
        "data_digest": "0" * 64,
        "source_digest": "1" * 64,
    }
    write_result(cell.path, "cell", document | changes)


def write_known(cells: list[Cell], n_test: int = 400) -> None:
    """Cells of known means: the i-th has 20 + i / 2; in the paper's study the published one."""
    for i, cell in enumerate(cells):
        mean = accuracy()[cell.address] if cell.study.is_the_papers else 20 + i / 2
        numbers = {"mean": mean, "interval": [mean - 1, mean + 2], "n_test": n_test}
        write_numbers(cell, [mean - 0.1, mean + 0.1], **numbers)


def write_stamp(dataset: str = "parts32", digest: str = IMAGES) -> None:
    """The stamp of a prepared dataset."""
    write_result(paths.prepared(dataset), "dataset", {"manifest": {"digest": digest}})


def write_training(training: Config, **changes: Any) -> dict[str, Any]:
    """metrics.json, config.yaml and (for a pretraining) the encoder of a finished training."""
    folder = training.run.folder / stage_of(training)
    write_text(folder / paths.RESOLVED, yaml.safe_dump(training.as_dict(), sort_keys=False))
    document: dict[str, Any] = {
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
