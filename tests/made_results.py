"""Results of probes that were never trained, written as the probes themselves write them."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from small_study import forget_configs

from patchvae.numerics.seeds import derive_seed
from patchvae.paper.published import CellKey, accuracy
from patchvae.runtime.results import write_bytes, write_result
from patchvae.study import paths
from patchvae.study.tables import Cell, load_table

REPO = Path(__file__).resolve().parents[1]
Score = Callable[[Cell, int], float]


def near_paper(cell: Cell, seed: int) -> float:
    """The paper's number and a quarter of a point, up for one of two seeds, which one by row."""
    up = (seed + len(cell.row.key)) % 2
    return accuracy()[CellKey.parse(cell.key)] + (0.25 if up else -0.25)


def study_in(folder: Path, edits: dict[str, tuple[str, str]]) -> None:
    """A copy of config/ with texts replaced, ready for use in `folder`."""
    shutil.copytree(REPO / "config", folder / "config")
    for name, (old, new) in edits.items():
        path = folder / "config" / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    forget_configs()


def write_predictions(folder: Path, accuracy: float, n_test: int) -> None:
    """predictions.npz with so many right test images, in an order of the probe's own."""
    order = np.random.default_rng(derive_seed(*folder.parts)).permutation(n_test)
    right, buffer = order < round(accuracy / 100 * n_test), io.BytesIO()
    np.savez_compressed(buffer, correct1=right, correct5=right)
    write_bytes(folder / paths.PREDICTIONS, buffer.getvalue())


def write_probes(study: str, table: str, score: Score, n_test: int = 10_000) -> list[Path]:
    """metrics.json and predictions.npz of every probe that a table needs."""
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
