"""Test images and what each model of Table 1 makes of them, in eval mode."""

import torch

from patchvae.figures.catalogue import Target
from patchvae.figures.gallery import Gallery, Rows, draw_gallery, gallery
from patchvae.figures.networks import Trained, held_out
from patchvae.models.base import Reconstructs
from patchvae.runtime.machine import Options

COUNT = 8

draw = draw_gallery


@torch.no_grad()
def compute(target: Target, options: Options) -> Gallery:
    """The same `COUNT` test images for every model, of as many classes as can be."""
    return gallery(target, options, Reconstructs, _rows, "cannot reconstruct")


def _rows(trained: Trained, model: Reconstructs, title: str) -> Rows:
    x = held_out(trained, COUNT)
    shown = trained.pixels(model.reconstruct(x))
    return {"test image": trained.pixels(x), title: shown}
