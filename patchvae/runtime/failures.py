"""Records of failed jobs: what went wrong outlives the job, whose outputs Snakemake deletes.

    results/<study>/failed/<dataset>/<model>/<variant>/seed<k>/<stage>.json

A record belongs to one configuration and one version of the code: it counts while both are current,
and goes away when the job succeeds or is stopped with its state saved.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from patchvae.errors import ConfigError, LockedError, ResourceError, StoppedError, SuiteError
from patchvae.runtime.disk import explain
from patchvae.runtime.launch import rank
from patchvae.runtime.machine import now, peak_memory_mib, pick_device
from patchvae.runtime.results import read_result, write_result
from patchvae.runtime.stage import Config, source_of, stage_of
from patchvae.study import paths
from patchvae.study.runs import ProbeConfig, Run

# CUDA itself, cuBLAS and cuDNN, e.g. where another process has taken the GPU's memory
GPU_FULL = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


def record_path(run: Run, stage: str) -> Path:
    """Where a failure of a run's stage is recorded."""
    return paths.RESULTS / run.study / "failed" / run.name.split("/", 1)[1] / f"{stage}.json"


def log_path(run: Run, stage: str) -> Path:
    """Where the workflow puts the log of a run's stage."""
    return paths.LOGS / run.name / f"{stage}.log"


def describe(error: Exception) -> tuple[str, int]:
    """The line and the exit code of an error; 1 for one that nobody foresaw."""
    if isinstance(error, SuiteError):
        return str(error), error.exit_code
    if kind := _lacking(error):
        return f"out of {kind} memory: {error}", ResourceError.exit_code
    if isinstance(error, OSError) and (line := explain(error)):
        return line, ResourceError.exit_code
    return f"{type(error).__name__}: {error}", SuiteError.exit_code


def _lacking(error: Exception) -> str:
    """`GPU` or `main` when that memory ran out.

    All but torch's own GPU allocator raise RuntimeErrors.
    """
    if type(error).__name__ == "OutOfMemoryError" or any(word in str(error) for word in GPU_FULL):
        return "GPU"
    return "main" if isinstance(error, MemoryError) or "allocate memory" in str(error) else ""


@contextmanager
def _memory_explained(config: Config) -> Iterator[None]:
    """Within the block a lack of memory is a ResourceError with the batch size and the peak."""
    try:
        yield
    except Exception as error:
        kind = _lacking(error)
        if not kind:
            raise
        settings = config.probe if isinstance(config, ProbeConfig) else config.pretrain
        size = getattr(settings, "batch_size", None)  # none where nothing is trained
        batch = f" with batches of {size}" if size else ""
        peak = peak_memory_mib(pick_device("auto" if kind == "GPU" else "cpu"))
        raise ResourceError(
            f"{config.run.name}/{stage_of(config)}: out of {kind} memory{batch}, {peak} MiB at the"
            " peak: give the job more (the batch size is part of the configuration and stays)"
        ) from error


@contextmanager
def recorded(config: Config) -> Iterator[None]:
    """Record an error that ends the job within the block; forget an earlier one when it does not.

    A wrong configuration, another job's lock and a stop on request are no failures of the job.
    """
    if rank() > 0:  # the first of several processes records for all
        with _memory_explained(config):
            yield
        return
    path = record_path(config.run, stage_of(config))
    with suppress(FileNotFoundError):
        path.lstat()  # where no record can be, that shows before the work
    try:
        with _memory_explained(config):
            yield
    except (ConfigError, LockedError):
        raise
    except StoppedError:
        path.unlink(missing_ok=True)
        raise
    except Exception as error:
        with suppress(ResourceError):  # a full disk must not hide the error itself
            _write(path, config, *describe(error))
        raise
    path.unlink(missing_ok=True)


def _write(path: Path, config: Config, message: str, exit_code: int) -> None:
    stage = stage_of(config)
    document = {
        "run": config.run.name,
        "stage": stage,
        "exit_code": exit_code,
        "message": message,
        "log": str(log_path(config.run, stage)),
        "time": now(),
        "config_digest": config.digest,
        "source_digest": source_of(config),
    }
    write_result(path, "failure", document)


def failure_of(config: Config) -> dict[str, Any] | None:
    """The record of a job's failure with this configuration and this code.

    None when there is none.
    """
    path = record_path(config.run, stage_of(config))
    if not os.path.lexists(path):
        return None
    record = read_result(path, "failure")
    current = (config.digest, source_of(config))
    return record if (record["config_digest"], record["source_digest"]) == current else None


def why_failed(config: ProbeConfig) -> str | None:
    """One line on the failure of a probe or of the pretraining before it.

    None when neither failed.
    """
    for job in (config, config.encoder):
        if (record := failure_of(job)) is not None:
            return f"{record['stage']} exited with {record['exit_code']}: {record['message']}"
    return None
