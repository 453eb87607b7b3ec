"""What every probe begins and ends with: the encoder that it judges, the files that it writes."""

import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from patchvae.data.store import Prepared, open_dataset
from patchvae.errors import CheckpointError
from patchvae.models.trunk import Trunk
from patchvae.numerics.memory import keep_freed_memory
from patchvae.numerics.precision import set_numerics
from patchvae.runtime.checkpoint import load_weights
from patchvae.runtime.launch import rank
from patchvae.runtime.machine import Options, now, pick_device, provenance
from patchvae.runtime.results import read_result, write_bytes, write_result, write_text
from patchvae.study import paths
from patchvae.study.runs import ProbeConfig
from patchvae.study.sources import probe_source
from patchvae.training.classifier import PREDICTED
from patchvae.training.loop import Row, write_history


def load_trunk(config: ProbeConfig) -> tuple[Trunk, dict[str, Any]]:
    """The run's trunk and its metrics; CheckpointError when they are not this configuration's."""
    path = config.run.pretrain / paths.METRICS
    metrics = read_result(path, "pretrain")
    if metrics["config_digest"] != config.encoder.digest:
        raise CheckpointError(
            f"{path} was made with another configuration: run its job again (snakemake does)"
        )
    trunk = Trunk(str(config.encoder.model["trunk"]))
    trunk.load_state_dict(load_weights(config.run.pretrain / paths.ENCODER))
    return trunk, metrics


@dataclass(frozen=True)
class Begun:
    """What every probe begins with.

    Its encoder, the images that this was pretrained on, the clock.
    """

    config: ProbeConfig
    options: Options
    device: torch.device
    trunk: Trunk
    encoder: dict[str, Any]
    data: Prepared
    source: str
    started: str
    clock: float


def begin(config: ProbeConfig, options: Options) -> Begun:
    """Set the process up and open encoder and images.

    CheckpointError when they do not belong together.
    """
    started, clock = now(), time.monotonic()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    set_numerics(config.probe.precision, options.deterministic)
    device = pick_device(options.device)
    trunk, encoder = load_trunk(config)
    data = open_dataset(config.encoder.data.dataset, options.data)
    if data.digest != encoder["data_digest"]:
        raise CheckpointError(
            f"{config.run.name} was pretrained on other images than the dataset now prepared:"
            " run its pretraining again"
        )
    source = probe_source(config.name)
    return Begun(config, options, device, trunk, encoder, data, source, started, clock)


def finish(
    begun: Begun, result: dict[str, Any], history: list[Row], **facts: Any
) -> dict[str, Any]:
    """Write a probe's files from what is `scored`; returns the content of its metrics.json.

    Only the first of several processes writes; the others return what they would have written.
    """
    config = begun.config
    document = {
        "run": config.run.name,
        "probe": config.name,
        "config_digest": config.digest,
        "data_digest": begun.data.digest,
        "source_digest": begun.source,
        "encoder": begun.encoder["files"][paths.ENCODER],
        "n_test": len(result["correct1"]),
        "top1": result["top1"],
        "top5": result["top5"],
        **facts,
        "wall_seconds": round(time.monotonic() - begun.clock, 2),
        "provenance": provenance(begun.started, begun.options),
    }
    return document if rank() > 0 else _write(config, history, result, document)


def _write(
    config: ProbeConfig, history: list[Row], result: dict[str, Any], document: dict[str, Any]
) -> dict[str, Any]:
    folder: Path = config.folder
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: result[name] for name in PREDICTED})
    write_bytes(folder / paths.PREDICTIONS, buffer.getvalue())
    write_text(folder / paths.RESOLVED, yaml.safe_dump(config.as_dict(), sort_keys=False))
    write_history(folder / paths.HISTORY, history)
    beside = tuple(name for name in paths.PROBE_FILES if name != paths.METRICS)
    return write_result(folder / paths.METRICS, "probe", document, files=beside)
