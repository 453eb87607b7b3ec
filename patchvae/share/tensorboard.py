"""Histories as event files for TensorBoard, after the fact: trainings know nothing of it."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from patchvae.errors import ConfigError
from patchvae.planning.jobs import Job
from patchvae.runtime.history import read_rows
from patchvae.runtime.results import read_result
from patchvae.study import paths


def write_events(jobs: Sequence[Job], folder: Path) -> int:
    """A run for each training below `folder`, with each of its terms by epoch; how many there are.

    Times go evenly from the job's start to its end. ConfigError when the folder has files already
    or `tensorboardX` is not installed.
    """
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise ConfigError(
            "event files need tensorboardX: pip install tensorboardX, or the package with its"
            " extra [tensorboard]"
        ) from None
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is not empty: choose another folder")
    written = 0
    for job in jobs:
        made = read_result(job.target, job.kind)["provenance"]
        start, end = (
            datetime.fromisoformat(made[word]).timestamp() for word in ("started", "ended")
        )
        rows = read_rows(job.target.parent / paths.HISTORY)
        if not rows:  # nothing was trained
            continue
        with SummaryWriter(str(folder / job.target.parent.relative_to(paths.RESULTS))) as events:
            for i, row in enumerate(rows, start=1):
                when = start + (end - start) * i / len(rows)
                for name in row.keys() - {"epoch"}:
                    events.add_scalar(name, row[name], int(row["epoch"]), when)
        written += 1
    return written
