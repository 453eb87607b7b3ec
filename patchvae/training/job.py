"""The job around every stage: what it begins with, and the files it leaves."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from patchvae.data.store import Prepared, open_dataset
from patchvae.errors import CheckpointError
from patchvae.numerics.memory import keep_freed_memory
from patchvae.numerics.parallel import joined
from patchvae.numerics.precision import set_numerics
from patchvae.runtime.checkpoint import StateStore
from patchvae.runtime.failures import recorded
from patchvae.runtime.launch import rank
from patchvae.runtime.lock import locked
from patchvae.runtime.machine import Options, now, pick_device, provenance
from patchvae.runtime.results import read_current, write_result, write_text
from patchvae.runtime.stage import Config, lock_of, source_of, stage_of, states_of
from patchvae.study import paths
from patchvae.study.runs import PretrainConfig, ProbeConfig
from patchvae.training.loop import Row, Saving, write_history


@dataclass(frozen=True)
class Job:
    """What a stage begins with; `encoder` is the metrics.json of the pretraining that it probes."""

    options: Options
    device: torch.device
    data: Prepared
    encoder: dict[str, Any]
    saving: Saving


@dataclass(frozen=True)
class Made:
    """What a stage ends with: its part of metrics.json, its epochs, what writes its own files."""

    facts: dict[str, Any]
    history: list[Row]
    save: Callable[[Path], None]


def run_job(config: Config, options: Options, stage: Callable[[Job], Made]) -> dict[str, Any]:
    """Compute a stage and write its files; returns the content of its metrics.json.

    Of several processes the first writes; the others return what they would have written. Raises
    LockedError, DataError, CheckpointError, DivergedError and StoppedError (state saved, run
    again), leaves no result then, and a record of the failure where it is one.
    """
    with locked(lock_of(config)), recorded(config), joined(options.device):
        started, clock = now(), time.monotonic()
        job = _begin(config, options)
        made = stage(job)
        options.stop.defer()
        document = {
            "run": config.run.name,
            "config_digest": config.digest,
            "data_digest": job.data.digest,
            "source_digest": source_of(config),
            **made.facts,
            "wall_seconds": round(time.monotonic() - clock, 2),
            "provenance": provenance(started, options),
        }
        if rank() > 0:
            return document
        metrics = write_files(config, made, document)
        job.saving.store.clear()
        return metrics


def _begin(config: Config, options: Options) -> Job:
    """Set the process up and open what the stage needs.

    CheckpointError when configuration, encoder and images do not belong together.
    """
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    settings = config.probe if isinstance(config, ProbeConfig) else config.pretrain
    if settings is not None:
        set_numerics(settings.precision, options.deterministic)
    device = pick_device(options.device)
    if isinstance(config, PretrainConfig):
        encoder: dict[str, Any] = {}
        data = open_dataset(config.data.dataset, options.data)
        before = data.digest
    else:
        encoded = config.run.pretrain / paths.METRICS
        encoder = read_current(encoded, "pretrain", config.encoder.digest)
        data = open_dataset(config.encoder.data.dataset, options.data)
        before = encoder["digest"]
        if data.digest != encoder["data_digest"]:
            raise CheckpointError(
                f"{config.run.name} was pretrained on other images than the dataset now prepared:"
                " run its pretraining again"
            )
    store = StateStore(states_of(config, before))
    return Job(options, device, data, encoder, Saving(store, options.stop, options.save_every))


def write_files(config: Config, made: Made, document: dict[str, Any]) -> dict[str, Any]:
    """Write the stage's files; returns the content of metrics.json, the last, which seals them."""
    folder = config.run.folder / stage_of(config)
    made.save(folder)
    write_text(folder / paths.RESOLVED, yaml.safe_dump(config.as_dict(), sort_keys=False))
    write_history(folder / paths.HISTORY, made.history)
    probing = isinstance(config, ProbeConfig)
    kind, names = ("probe", paths.PROBE_FILES) if probing else ("pretrain", paths.PRETRAIN_FILES)
    beside = tuple(name for name in names if name != paths.METRICS)
    return write_result(folder / paths.METRICS, kind, document, files=beside)
