"""Trained networks and the images they are shown, for the figures that need them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from patchvae.data.store import Prepared, open_dataset
from patchvae.errors import CheckpointError
from patchvae.models.patchvae import PatchVAE
from patchvae.numerics.batchnorm import calibrate
from patchvae.runtime.checkpoint import load_snapshots
from patchvae.runtime.machine import Options
from patchvae.study import paths
from patchvae.study.runs import Run
from patchvae.training.network import BATCH, Network, load, network_of
from patchvae.training.pretrain import pretraining_batches


@dataclass(frozen=True)
class Trained(Network):
    """A run's network and the images it was trained on."""

    data: Prepared

    @property
    def steps_an_epoch(self) -> int:
        """Optimiser steps of an epoch of its training."""
        assert self.config.pretrain is not None
        images: int = self.metrics["images"]
        return images // self.config.pretrain.batch_size


def load_trained(run: Run, options: Options) -> Trained:
    """`load`, with the images; CheckpointError too when the dataset now prepared has others."""
    torch.set_num_threads(options.threads)
    found = load(run, options.device)
    data = open_dataset(run.dataset, options.data)
    if found.metrics["data_digest"] != data.digest:
        raise CheckpointError(
            f"{run.name} was pretrained on other images than the dataset now prepared:"
            " run its pretraining again"
        )
    return Trained(found.config, found.metrics, found.model, found.device, data)


def over_training(trained: Trained) -> Iterator[tuple[int, Trained]]:
    """The network after 0 steps, at each snapshot and at the end, one in memory beside the last.

    Untrained its batch normalisation has the statistics of the images too, as `RandomTrunk` has.
    """
    config = trained.config
    assert config.pretrain is not None
    untrained = network_of(config, None, trained.device)
    calibrate(untrained.trunk, pretraining_batches(config, trained.data, trained.device))
    yield 0, replace(trained, model=untrained)
    yield from at_snapshots(trained)
    yield config.pretrain.epochs * trained.steps_an_epoch, trained


def at_snapshots(trained: Trained) -> Iterator[tuple[int, Trained]]:
    """The network at each snapshot, with its step, one in memory beside the last."""
    for step, weights in load_snapshots(trained.config.run.pretrain / paths.SNAPSHOTS):
        model = network_of(trained.config, weights, trained.device)
        yield step, replace(trained, model=model)


def load_parts(run: Run, options: Options) -> tuple[Trained, PatchVAE]:
    """A run that has parts; ConfigError for another model."""
    trained = load_trained(run, options)
    return trained, trained.parts_model


def batches(trained: Trained, split: str, limit: int | None) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Indices (b,) and images (b, 3, H, W) of a split in order, one batch in memory."""
    pixels, index = trained.data.images(split), trained.data.subset_indices(split, limit)
    for start in range(0, len(index), BATCH):
        chosen = index[start : start + BATCH]
        block = torch.from_numpy(np.ascontiguousarray(pixels[chosen])).to(trained.device)
        yield chosen, trained.inputs(block)


def held_out(trained: Trained, count: int) -> Tensor:
    """`count` test images of the study, of as many classes as can be: (count, 3, H, W)."""
    chosen = trained.data.subset_indices("test", count)
    return trained.inputs(torch.from_numpy(trained.data.images("test")[chosen]).to(trained.device))
