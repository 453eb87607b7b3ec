"""Trained networks and the images they are shown, for the figures that need them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from patchvae.data.store import Prepared, open_dataset
from patchvae.data.tensors import Inputs
from patchvae.errors import CheckpointError, ConfigError
from patchvae.models import build
from patchvae.models.adversarial import Adversarial
from patchvae.models.base import Unsupervised
from patchvae.models.patchvae import PatchVAE
from patchvae.numerics.batchnorm import calibrate
from patchvae.numerics.seeds import derive_seed
from patchvae.runtime.checkpoint import load_weights
from patchvae.runtime.machine import Options, pick_device
from patchvae.runtime.results import read_current
from patchvae.study import paths
from patchvae.study.runs import PretrainConfig, Run, resolve_run
from patchvae.training.pretrain import pretraining_batches

BATCH = 256


@dataclass(frozen=True)
class Trained:
    """A run's network in eval mode, its configuration and the images it was trained on."""

    config: PretrainConfig
    model: Unsupervised
    data: Prepared
    device: torch.device

    @cached_property
    def inputs(self) -> Inputs:
        """What its encoder sees of a pixel."""
        return Inputs.of(self.config.data.inputs, self.device)

    def pixels(self, x: Tensor) -> np.ndarray:
        """What it sees or makes, (B, 3, H, W), as drawn: float32 (B, H, W, 3) in [0, 1]."""
        return self.inputs.shown(x).permute(0, 2, 3, 1).cpu().numpy()


def load_trained(run: Run, options: Options) -> Trained:
    """The network of a run, without an adversarial wrapper.

    CheckpointError when its files are missing, altered, of another configuration or other images.
    """
    torch.set_num_threads(options.threads)
    config, device = resolve_run(run), pick_device(options.device)
    metrics = read_current(run.pretrain / paths.METRICS, "pretrain", config.digest)
    data = open_dataset(run.dataset, options.data)
    if metrics["data_digest"] != data.digest:
        raise CheckpointError(
            f"{run.name} was pretrained on other images than the dataset now prepared:"
            " run its pretraining again"
        )
    weights = load_weights(run.pretrain / paths.MODEL)
    return Trained(config, _network(config, weights, device), data, device)


def _network(
    config: PretrainConfig, weights: dict[str, Tensor] | None, device: torch.device
) -> Unsupervised:
    """A run's network with these weights, or as initialised."""
    torch.manual_seed(derive_seed(config.run.seed, "init"))
    model = build(config)
    if weights is not None:
        model.load_state_dict(weights)
    return unwrap(model).to(device).eval()


def over_training(trained: Trained) -> Iterator[tuple[int, Trained]]:
    """The network after 0 epochs, at each snapshot and at the end, one in memory beside the last.

    Untrained its batch normalisation has the statistics of the images too, as `RandomTrunk` has.
    """
    from safetensors import safe_open

    config = trained.config
    assert config.pretrain is not None
    untrained = _network(config, None, trained.device)
    calibrate(untrained.trunk, pretraining_batches(config, trained.data, trained.device))
    yield 0, replace(trained, model=untrained)
    with safe_open(config.run.pretrain / paths.SNAPSHOTS, "pt") as file:
        names = list(file.keys())
        for epoch in sorted({int(name.split("/")[0].removeprefix("epoch")) for name in names}):
            prefix = f"epoch{epoch}/"
            weights = {
                name.removeprefix(prefix): file.get_tensor(name)
                for name in names
                if name.startswith(prefix)
            }
            yield epoch, replace(trained, model=_network(config, weights, trained.device))
    yield config.pretrain.epochs, trained


def unwrap(model: Unsupervised) -> Unsupervised:
    """The VAE inside an adversarial training, or the model itself."""
    return model.vae if isinstance(model, Adversarial) else model


def load_parts(run: Run, options: Options) -> tuple[Trained, PatchVAE]:
    """A run that has parts; ConfigError for another model."""
    trained = load_trained(run, options)
    if not isinstance(trained.model, PatchVAE):
        raise ConfigError(f"{run.name} has no parts: choose a run of a PatchVAE")
    return trained, trained.model


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
