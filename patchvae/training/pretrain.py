"""Pretraining: a model learns without labels from every image that is not a test image."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from patchvae.data.store import Prepared
from patchvae.data.tensors import Images, load_images
from patchvae.errors import ConfigError
from patchvae.models import build
from patchvae.models.base import Terms, Unsupervised
from patchvae.numerics import parallel
from patchvae.numerics.seeds import derive_seed
from patchvae.runtime.checkpoint import save_tensors, save_weights
from patchvae.runtime.machine import Options
from patchvae.study import paths
from patchvae.study.runs import PretrainConfig
from patchvae.study.yaml_files import about
from patchvae.training.job import Job, Made, run_job
from patchvae.training.phases import snapshot_steps, train_phases

LOOKED_AT = 500  # images at a time where no step is taken


def pretrain(config: PretrainConfig, options: Options) -> dict[str, Any]:
    """Train one run and write its files; returns the content of its metrics.json."""
    return run_job(config, options, partial(_pretrain, config))


def _pretrain(config: PretrainConfig, job: Job) -> Made:
    torch.manual_seed(derive_seed(config.run.seed, "init"))
    model = build(config).to(job.device).to(memory_format=torch.channels_last)
    if config.pretrain is None:
        with about(config.run.study_file):
            model.look(pretraining_batches(config, job.data, job.device))
        return Made({}, [], partial(save, config, model, {}))
    with about(config.run.study_file):
        images = _images(config, config.pretrain.batch_size, job.data, job.device)
        parallel.check_batch(config.pretrain.batch_size)
        snapshot_steps(config.pretrain, len(images))
    loop = train_phases(config, config.pretrain, model, images, job)
    facts = {"images": len(images), "last_epoch": loop.history[-1]}
    return Made(facts, loop.history, partial(save, config, model, loop.kept))


def _images(
    config: PretrainConfig, batch_size: int, data: Prepared, device: torch.device
) -> Images:
    """Every image that is not a test image (reading A16)."""
    splits = ("train", "unlabelled") if config.data.unlabelled else ("train",)
    images = load_images(data, splits, config.data.train, device, config.data.inputs)
    if len(images) < batch_size:
        raise ConfigError(
            f"{config.run.name}: {len(images)} images make no batch of {batch_size}:"
            " lower pretrain.batch_size"
        )
    return images


def pretraining_batches(
    config: PretrainConfig, data: Prepared, device: torch.device
) -> Callable[[], Iterator[Tensor]]:
    """Each call goes through all pretraining images, unmirrored and in order, (B, 3, H, W)."""
    load = cache(lambda: _images(config, 1, data, device))

    def batches() -> Iterator[Tensor]:
        images = load()
        for index in torch.arange(len(images), device=images.index_device).split(LOOKED_AT):
            yield images.batch(index)

    return batches


def save(config: PretrainConfig, model: Unsupervised, kept: Terms, folder: Path) -> None:
    """Write the trunk, the whole model, and what was `kept` on the way."""
    metadata = {"run": config.run.name, "config_digest": config.digest}
    save_weights(folder / paths.ENCODER, model.trunk, metadata)
    save_weights(folder / paths.MODEL, model, metadata)
    save_tensors(folder / paths.SNAPSHOTS, kept, metadata)
