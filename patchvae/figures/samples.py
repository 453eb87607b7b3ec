"""Images that each model of Table 1 makes of latents drawn from its prior."""

import torch

from patchvae.figures.catalogue import Target
from patchvae.figures.gallery import Gallery, Rows, draw_gallery, gallery
from patchvae.figures.networks import Trained
from patchvae.models.base import Samples
from patchvae.numerics.seeds import derive_seed
from patchvae.runtime.machine import Options

COUNT = 8

draw = draw_gallery


@torch.no_grad()
def compute(target: Target, options: Options) -> Gallery:
    """`COUNT` samples of every model, from the same random numbers within a family."""
    return gallery(target, options, Samples, _rows, "cannot be sampled")


def _rows(trained: Trained, model: Samples, title: str) -> Rows:
    generator = torch.Generator().manual_seed(derive_seed("figures", "samples"))
    return {title: trained.pixels(model.sample(COUNT, trained.config.data.size, generator))}
