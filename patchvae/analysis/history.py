"""Loss terms of a run by epoch, from its history.csv."""

from dataclasses import dataclass

from patchvae.runtime.history import read_rows
from patchvae.runtime.results import read_current
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
    read_current(run.pretrain / paths.METRICS, "pretrain", resolve_run(run).digest)
    rows = read_rows(run.pretrain / paths.HISTORY)
    terms = {name: [row[name] for row in rows] for name in rows[0] if name != "epoch"}
    return History(run, [row["epoch"] for row in rows], terms)
