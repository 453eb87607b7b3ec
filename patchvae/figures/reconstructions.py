"""Test images and what each model of Table 1 makes of them, in eval mode."""

import torch
from torch import Tensor

from patchvae.figures.canvas import title_of
from patchvae.figures.catalogue import Target
from patchvae.figures.gallery import Gallery, draw_gallery
from patchvae.figures.networks import held_out, load_trained
from patchvae.models.base import Unsupervised
from patchvae.models.bigan import BiGAN
from patchvae.runtime.machine import Options
from patchvae.study.registry import DATASETS

COUNT = 8

draw = draw_gallery


def reconstruct(model: Unsupervised, x: Tensor) -> Tensor:
    """x_hat of a VAE in eval mode, or G(E(x)) of a BiGAN."""
    if isinstance(model, BiGAN):
        return model.decoder(model.encode(x))
    x_hat: Tensor = model(x)[0]
    return x_hat


@torch.no_grad()
def compute(target: Target, options: Options) -> Gallery:
    """The same `COUNT` test images for every model, of as many classes as can be."""
    rows, subject = {}, ""
    for run in target.runs():
        trained = load_trained(run, options)
        x = held_out(trained, COUNT)
        rows["test image"] = trained.pixels(x)
        rows[title_of(run.model)] = trained.pixels(reconstruct(trained.model, x))
        subject = f"{DATASETS[run.dataset].title}, seed {run.seed}"
    return Gallery(subject, rows)
