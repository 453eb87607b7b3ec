"""Small models and a batch of images for the tests beside this file."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from patchvae.models.adversarial import Adversarial
from patchvae.models.base import VAE, Unsupervised
from patchvae.models.beta_vae import BetaVAE
from patchvae.models.bigan import BiGAN
from patchvae.models.controls import EverywhereVAE, SpatialVAE
from patchvae.models.losses import Reconstruction
from patchvae.models.patchvae import PatchVAE

PARTS: dict[str, Any] = {
    "trunk": "resnet9",
    "num_parts": 4,
    "part_dim": 3,
    "prior_vis": 0.25,
    "beta_vis": 0.6,
    "beta_app": 1.5,
    "temperature": 1.0,
    "temperature_law": "closed",
    "temperature_rate": 3e-5,
    "temperature_floor": 0.1,
    "eval_visibility": "soft",
    "appearance_gradient": "full",
}

LOSSES = {"l2": Reconstruction(), "lw": Reconstruction(weighted=True)}


def make_beta(size: int = 32, recon: str = "l2") -> BetaVAE:
    return BetaVAE(size, LOSSES[recon], trunk="resnet9", latent_dim=8, beta=0.5)


def make_parts(size: int = 32, recon: str = "l2", **changes: Any) -> PatchVAE:
    return PatchVAE.configured(size, recon=LOSSES[recon], **{**PARTS, **changes})


def make_adversarial(vae: VAE, reconstruction: str = "pixel") -> Adversarial:
    return Adversarial(vae, weight=0.7, reconstruction=reconstruction, discriminator="ours")


def images(B: int = 4, size: int = 32) -> Tensor:
    return torch.rand(B, 3, size, size, generator=torch.Generator().manual_seed(7)) * 2 - 1


# a maker for every way in which a step can differ
MAKERS: dict[str, Callable[[], Unsupervised]] = {
    "beta-vae-lw": lambda: make_beta(recon="lw"),
    "patchvae": make_parts,
    "patchvae-gan": lambda: make_adversarial(make_parts()),
    "beta-vae-gan-features": lambda: make_adversarial(make_beta(), "features"),
    "patchvae-everywhere": lambda: EverywhereVAE(
        32, LOSSES["l2"], trunk="resnet9", num_parts=4, part_dim=3, beta_app=1.5
    ),
    "spatial-vae": lambda: SpatialVAE(32, LOSSES["l2"], trunk="resnet9", latent_dim=8, beta=0.5),
    "bigan": lambda: BiGAN(32, trunk="resnet9", latent_dim=8, discriminator="ours"),
}
