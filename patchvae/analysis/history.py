"""Loss terms of a run by epoch, from its history.csv."""

import csv
from dataclasses import dataclass

from patchvae.errors import CheckpointError
from patchvae.runtime.results import read_result
from patchvae.study import paths
from patchvae.study.runs import Run, resolve_run


@dataclass(frozen=True)
class History:
    """One run: its recorded terms by epoch."""

    run: Run
    epochs: list[float]
    terms: dict[str, list[float]]


def read_history(run: Run) -> History:
    """history.csv of a run, after its digest.

    CheckpointError when it is of another configuration.
    """
    metrics = read_result(run.pretrain / paths.METRICS, "pretrain")
    if metrics["config_digest"] != resolve_run(run).digest:
        raise CheckpointError(
            f"{run.pretrain / paths.METRICS} was made with another configuration: run its job again"
            " (snakemake does)"
        )
    with (run.pretrain / paths.HISTORY).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    terms = {name: [float(row[name]) for row in rows] for name in rows[0] if name != "epoch"}
    return History(run, [float(row["epoch"]) for row in rows], terms)
