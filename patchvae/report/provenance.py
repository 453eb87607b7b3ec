"""Who made a study's numbers: days, commits, versions, devices, time."""

from collections.abc import Sequence
from typing import Any

from patchvae.errors import CheckpointError
from patchvae.runtime.results import read_result
from patchvae.study import paths
from patchvae.study.tables import Cell


def provenance(cells: Sequence[Cell]) -> dict[str, list[str]]:
    """The different values over all runs and probes, with how many have each."""
    found: dict[str, dict[str, int]] = {}
    folders = {p.run.pretrain: "pretrain" for cell in cells for p in cell.probes()}
    folders |= {p.folder: "probe" for cell in cells for p in cell.probes()}
    seconds = 0.0
    for folder, kind in sorted(folders.items()):
        try:
            metrics = read_result(folder / paths.METRICS, kind, check_files=False)
        except CheckpointError:
            _count(found, f"{kind} jobs", "without a whole result")
            continue
        seconds += metrics["wall_seconds"]
        _count(found, f"{kind} jobs", "done")
        for label, value in _origins(metrics).items():
            _count(found, label, value)
    lines = {
        label: [f"{value} ({number})" for value, number in sorted(values.items())]
        for label, values in found.items()
    }
    return lines | {"job time": [f"{seconds / 3600:.2f} hours in sum"]}


def _count(found: dict[str, dict[str, int]], label: str, value: str) -> None:
    values = found.setdefault(label, {})
    values[value] = values.get(value, 0) + 1


def _origins(metrics: dict[str, Any]) -> dict[str, str]:
    made = metrics["provenance"]
    dirty = " with uncommitted changes" if made["git"]["dirty"] else ""
    versions = ", ".join(f"{name} {number}" for name, number in made["versions"].items())
    return {
        "day": made["ended"][:10],
        "commit": f"{made['git']['commit'][:12] or 'unknown'}{dirty}",
        "versions": f"python {made['python']}, {versions}",
        "device": f"{made['device']}, {made['threads']} thread(s), {made['host']['cpu']}",
        "dataset": f"{metrics['run'].split('/')[1]} {metrics['data_digest'][:12]}",
    }
