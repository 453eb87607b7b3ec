"""Images that each model of Table 1 makes of latents drawn from its prior."""

import torch
from torch import Tensor

from patchvae.figures.canvas import title_of
from patchvae.figures.catalogue import Target
from patchvae.figures.gallery import Gallery, draw_gallery
from patchvae.figures.networks import Trained, load_trained
from patchvae.models.beta_vae import BetaVAE
from patchvae.models.bigan import BiGAN
from patchvae.models.patchvae import PatchVAE
from patchvae.numerics.seeds import derive_seed
from patchvae.runtime.machine import Options
from patchvae.study.registry import DATASETS

COUNT = 8

draw = draw_gallery


def sample(trained: Trained, count: int) -> Tensor:
    """(count, 3, H, W): visibility ~ Bern(prior) a cell, appearance ~ N(0, I), or z ~ N(0, I)."""
    model, size = trained.model, trained.config.data.size
    generator = torch.Generator().manual_seed(derive_seed("figures", "samples"))
    if isinstance(model, PatchVAE):
        side = size // model.trunk.stride
        z_vis = torch.rand(count, model.N, side, side, generator=generator) < model.prior_vis
        z_app = torch.randn(count, model.N, model.D, generator=generator)
        return model.decode(z_vis.to(trained.device, torch.float32), z_app.to(trained.device))
    assert isinstance(model, BetaVAE | BiGAN)
    Z = int(trained.config.model["latent_dim"])
    z = torch.randn(count, Z, generator=generator)
    return model.decoder(z.to(trained.device))


@torch.no_grad()
def compute(target: Target, options: Options) -> Gallery:
    """`COUNT` samples of every model, from the same random numbers within a family."""
    rows, subject = {}, ""
    for run in target.runs():
        trained = load_trained(run, options)
        rows[title_of(run.model)] = trained.pixels(sample(trained, COUNT))
        subject = f"{DATASETS[run.dataset].title}, seed {run.seed}"
    return Gallery(subject, rows)
