"""The network of a finished run, to be shown images: `patchvae.load`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from patchvae.data.tensors import Inputs
from patchvae.errors import CheckpointError, ConfigError, DataError
from patchvae.models import build
from patchvae.models.adversarial import Adversarial
from patchvae.models.base import Reconstructs, Unsupervised
from patchvae.models.fixed import FixedTrunk
from patchvae.models.patchvae import PatchVAE
from patchvae.numerics.seeds import derive_seed
from patchvae.runtime.checkpoint import load_weights
from patchvae.runtime.machine import pick_device
from patchvae.runtime.results import read_current, read_result
from patchvae.study import paths
from patchvae.study.runs import PretrainConfig, Run, resolve_run
from patchvae.study.yaml_files import read_yaml

if TYPE_CHECKING:
    from PIL.Image import Image

    Picture = Image | np.ndarray
    Pictures = Picture | Sequence[Picture]

BATCH = 256  # images at a time


@dataclass(frozen=True)
class Network:
    """A run's network in eval mode, its configuration and the content of its metrics.json.

    Images are Pillow's, or uint8 arrays H x W x 3 of colours in 0 to 255: one, a sequence of one
    size, or an array B x H x W x 3. The network sees them as the run's own `data.inputs` says.
    Features and parts take sizes that the trunk's stride divides (8 pixels, or 32 for resnet18), as
    reconstructions of a PatchVAE do; other decoders make only the `size` that they were trained
    with. Nothing is scaled or cut: DataError for other images. Results are float32 arrays.
    """

    config: PretrainConfig
    metrics: dict[str, Any]
    model: Unsupervised
    device: torch.device

    @property
    def size(self) -> int:
        """Side in pixels of the images that it was trained on."""
        return self.config.data.size

    @cached_property
    def inputs(self) -> Inputs:
        """What its encoder sees of a pixel."""
        return Inputs.of(self.config.data.inputs, self.device)

    def pixels(self, x: Tensor) -> np.ndarray:
        """What it sees or makes, (B, 3, H, W), as drawn: float32 (B, H, W, 3) in [0, 1]."""
        return self.inputs.shown(x).permute(0, 2, 3, 1).cpu().numpy()

    @property
    def parts_model(self) -> PatchVAE:
        """The network where it has parts; ConfigError for another model."""
        if not isinstance(self.model, PatchVAE):
            raise ConfigError(f"{self.config.run.name} has no parts: choose a run of a PatchVAE")
        return self.model

    def features(self, images: "Pictures", stage: str | None = None) -> np.ndarray:
        """phi(x), (B, C, H / s, W / s): what a probe trains on whose first stages are frozen.

        `stage` is the last of them, `conv1`, `conv3` or `conv5` (up to `conv9` for resnet18), by
        default the last of the trunk: C = 128 and s = 8 for resnet9. ConfigError for another.
        """
        trunk = self.model.trunk
        if stage is not None and stage not in trunk.stages:
            raise ConfigError(f"no stage '{stage}': choose one of {', '.join(trunk.stages)}")
        stages, _ = trunk.split(stage or trunk.stages[-1])
        return self._shown(images, lambda x: trunk.through(x, stages).cpu().numpy())

    def parts(self, images: "Pictures") -> np.ndarray:
        """P(part n is visible in a cell), (B, N, H / s, W / s) in [0, 1] (section 3.2).

        ConfigError where the model is no PatchVAE.
        """
        model = self.parts_model
        return self._shown(images, lambda x: model.posterior(x)[0].sigmoid().cpu().numpy())

    def reconstruct(self, images: "Pictures") -> np.ndarray:
        """What a VAE makes of images with means in place of samples, or a BiGAN as G(E(x)).

        (B, H, W, 3) in [0, 1]. ConfigError where the run has a trunk alone.
        """
        model = self.model
        if not isinstance(model, Reconstructs):
            name = self.config.run.name
            raise ConfigError(f"{name} cannot reconstruct: choose a run of a VAE or a BiGAN")
        side = None if isinstance(model, PatchVAE) else self.size
        return self._shown(images, lambda x: self.pixels(model.reconstruct(x)), side)

    @torch.no_grad()
    def _shown(
        self, images: "Pictures", what: Callable[[Tensor], np.ndarray], side: int | None = None
    ) -> np.ndarray:
        """`what` of images, a batch at a time; of `side` pixels, or else of what fits the trunk."""
        pixels = torch.from_numpy(_as_array(images))
        H, W = pixels.shape[1:3]
        stride = self.model.trunk.stride
        if not (H == W == side if side else H % stride == W % stride == 0):
            wanted = f"{side} x {side}" if side else f"multiples of {stride}"
            raise DataError(f"images of {H} x {W} pixels: {self.config.run.name} takes {wanted}")
        batches = pixels.split(BATCH)
        return np.concatenate([what(self.inputs(batch.to(self.device))) for batch in batches])


def _as_array(images: "Pictures") -> np.ndarray:
    """uint8 (B, H, W, 3) of what a caller has."""
    from PIL.Image import Image

    if not isinstance(images, np.ndarray):
        several = [images] if isinstance(images, Image) else images
        arrays = [np.array(i.convert("RGB") if isinstance(i, Image) else i) for i in several]
        if len({array.shape for array in arrays}) != 1:
            raise DataError("no images, or of several sizes: give those of one size at a time")
        images = arrays[0] if isinstance(images, Image) else np.stack(arrays)
    found = images[None] if images.ndim == 3 else images
    if found.dtype != np.uint8 or found.ndim != 4 or found.shape[3] != 3 or not found.size:
        raise DataError(
            f"an array of {images.dtype} {images.shape} holds no images: give uint8 B x H x W x 3"
        )
    return np.ascontiguousarray(found)


def load(run: Run | str | Path, device: str = "cpu") -> Network:
    """The network of a finished run, by its folder or its name.

    A folder `.../seed<k>` may lie anywhere and is read with the configuration written in it. A name
    such as `demo/parts32/patchvae/N16-d6-prior0.0625-bvis0.6-bapp1/seed0` is looked up below
    `results/` of the current folder, and must be of the configuration that the study has now.
    `device` is `cpu`, `cuda` or `auto`. ConfigError where no run is named, CheckpointError when its
    files are missing, altered or of another configuration.
    """
    if not isinstance(run, Run) and (Path(run) / "pretrain").is_dir():
        folder = Path(run) / "pretrain"
        config, metrics = _written(folder)
    else:
        known = run if isinstance(run, Run) else Run.parse(str(run))
        folder, config = known.pretrain, resolve_run(known)
        metrics = read_current(folder / paths.METRICS, "pretrain", config.digest)
    chosen = pick_device(device)
    model = network_of(config, load_weights(folder / paths.MODEL), chosen)
    return Network(config, metrics, model, chosen)


def _written(folder: Path) -> tuple[PretrainConfig, dict[str, Any]]:
    """The configuration beside a result, whole by its seal and by its own digest; the result."""
    metrics = read_result(folder / paths.METRICS, "pretrain")
    path = folder / paths.RESOLVED
    try:
        config = PretrainConfig.from_dict(read_yaml(path))
        current = config.digest == metrics["config_digest"]
    except (KeyError, TypeError):
        current = False
    if not current:
        raise CheckpointError(
            f"{path} was written by another version of the suite: run its pretraining again"
        )
    return config, metrics


def network_of(
    config: PretrainConfig, weights: dict[str, Tensor] | None, device: torch.device
) -> Unsupervised:
    """The network of a configuration with these weights, or as initialised; in eval mode.

    It has no adversarial wrapper, and a trunk from a file does not need that file again.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(config.run.seed, "init"))
        if config.pretrain is None and weights is not None:
            model: Unsupervised = FixedTrunk(config.data.size, trunk=str(config.model["trunk"]))
        else:
            model = build(config)
    if weights is not None:
        model.load_state_dict(weights)
    return unwrap(model).to(device).eval()


def unwrap(model: Unsupervised) -> Unsupervised:
    """The VAE inside an adversarial training, or the model itself."""
    return model.vae if isinstance(model, Adversarial) else model
