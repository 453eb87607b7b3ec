"""A cell: one number of one table, the same probe summarised over all seeds."""

import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from patchvae.analysis.paired import Sample, cell_interval
from patchvae.errors import CheckpointError, SuiteError
from patchvae.paper.published import paper_value
from patchvae.paper.readings import readings_of
from patchvae.runtime.failures import why_failed
from patchvae.runtime.results import read_current, write_result
from patchvae.study import paths
from patchvae.study.address import CellKey
from patchvae.study.registry import PROBES
from patchvae.study.runs import ProbeConfig
from patchvae.study.sources import source_digest
from patchvae.study.tables import Cell

# Fields that cells of one dataset must share, or their numbers cannot be in one table.
SHARED = {
    "data_digest": "prepared data",
    "source_digest": "source code",
    "n_test": "number of test images",
}


def probe_metrics(config: ProbeConfig) -> dict[str, Any]:
    """The metrics of a probe, made with this configuration from this run's encoder.

    Else CheckpointError.
    """
    return read_current(config.folder / paths.METRICS, "probe", config.digest)


def _correct(config: ProbeConfig, metric: str) -> np.ndarray:
    """Which test images are right by a metric, bool (n,): `probe_metrics` checked the file."""
    with np.load(config.folder / paths.PREDICTIONS) as predictions:
        right: np.ndarray = predictions[metric.replace("top", "correct")]
    return right


def _pack(right: np.ndarray) -> str:
    """A bit an image, compressed, as text."""
    return b64encode(zlib.compress(np.packbits(right).tobytes(), 9)).decode()


def _unpack(text: str, n_test: int) -> np.ndarray:
    bits = np.frombuffer(zlib.decompress(b64decode(text)), np.uint8)
    return np.unpackbits(bits, count=n_test).astype(bool)


def sample_of(document: Mapping[str, Any]) -> Sample:
    """A cell's accuracies and correctness by seed; the latter empty where its file has none."""
    seeds = document["seeds"]
    correct = [_unpack(text, document["n_test"]) for text in document.get("correct", ())]
    return Sample(
        dict(zip(seeds, document["values"], strict=True)),
        dict(zip(seeds, correct, strict=True)) if correct else {},
    )


def _agree(cell: Cell, found: list[dict[str, Any]], key: str) -> str:
    values = {metrics[key] for metrics in found}
    if len(values) > 1:
        raise CheckpointError(
            f"{cell.key}: its seeds differ in {key}, so they are no repetitions of one experiment:"
            " run the older ones again"
        )
    return str(values.pop())


def summarise(
    cell: Cell, partial: bool = False, probes: Sequence[ProbeConfig] | None = None
) -> dict[str, Any]:
    """The content of a cell's file from its probes, or some of them; fields as in docs/results.md.

    With `partial` a seed without a whole result does not raise: it is listed under `failed` when
    its job failed, and is in neither list when it was not run.
    """
    found, failed = [], []
    for config in cell.probes() if probes is None else probes:
        try:
            metrics = probe_metrics(config)
            own = {"seed": config.run.seed, "path": str(config.folder)}
            found.append({**metrics, **own, "correct": _pack(_correct(config, cell.column.metric))})
        except SuiteError:
            if not partial:
                raise
            if (why := why_failed(config)) is not None:
                failed.append({"seed": config.run.seed, "error": why})
    document: dict[str, Any] = {
        "study": cell.study.name,
        **cell.address._asdict(),
        "dataset": cell.dataset,
        "model": cell.row.model,
        "variant": cell.probes()[0].run.variant,
        "probe": cell.probes()[0].name,
        "metric": cell.column.metric,
        "paper": paper_value(cell.study, cell.address),
        "readings": readings_of(cell.probes()[0]),
        "failed": failed,
        "config_digest": cell.config_digest,
    }
    return document | _statistics(cell, found)


def _statistics(cell: Cell, found: list[dict[str, Any]]) -> dict[str, Any]:
    """The seeds found, their mean, sample standard deviation and 95 % interval."""
    values = [metrics[cell.column.metric] for metrics in found]
    record: dict[str, Any] = {
        "seeds": [metrics["seed"] for metrics in found],
        "values": values,
        "correct": [metrics["correct"] for metrics in found],
        "runs": [{name: m[name] for name in ("seed", "path", "digest")} for m in found],
    }
    if not found:
        return record | {"n_test": None, "mean": None, "sd": None, "interval": None}
    n_test = int(_agree(cell, found, "n_test"))
    (low, high), kind = cell_interval(sample_of(record | {"n_test": n_test}), n_test)
    return record | {
        "n_test": n_test,
        "mean": round(fmean(values), 6),
        "sd": round(stdev(values), 6) if len(values) > 1 else None,
        "interval": [round(low, 6), round(high, 6)],
        "interval_kind": kind,
        "data_digest": _agree(cell, found, "data_digest"),
        "source_digest": _agree(cell, found, "source_digest"),
    }


def failed_cells(cells: Iterable[Cell]) -> dict[CellKey, dict[str, Any]]:
    """What there is of the cells in which at least one seed failed."""
    return {
        cell.address: summarise(cell, partial=True)
        for cell in cells
        if any(why_failed(config) for config in cell.probes())
    }


def write_cell(cell: Cell) -> dict[str, Any]:
    """Gather a cell's probes into its file."""
    document = summarise(cell) | {"report_digest": source_digest("patchvae.analysis.cells")}
    return write_result(cell.path, "cell", document)


def read_cell(cell: Cell, root: Path = Path()) -> dict[str, Any]:
    """The content of a cell's file below `root`.

    CheckpointError when its configuration is no longer the study's.
    """
    return read_current(root / cell.path, "cell", cell.config_digest)


def refuse_mixtures(found: Mapping[Path, Mapping[str, Any]]) -> None:
    """CheckpointError naming two cells of one dataset that differ in what they must share.

    Probes that train and those that do not are different code.
    """
    untrained = {name for name, probe in PROBES.items() if not probe.trained}
    first: dict[tuple[str, str, bool], Path] = {}
    for path, document in found.items():
        dataset, _, _ = path.stem.partition("-")
        for field, what in SHARED.items():
            apart = field == "source_digest" and document.get("probe") in untrained
            other = first.setdefault((dataset, field, apart), path)
            if document[field] != found[other][field]:
                raise CheckpointError(
                    f"{other} and {path} differ in their {what} ({field}):"
                    " run the older one's job again"
                )
