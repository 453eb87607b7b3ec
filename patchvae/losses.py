"""The paper's losses, one pure function an equation.

Every loss is summed over pixels or latents and averaged over the batch (reading A3), so a KL weight
of one is the evidence lower bound.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from patchvae.sampling import bernoulli_log_probs

PATCH = 8  # side in pixels of the patches of section 3.4


def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """|x - x_hat|^2 of Eq. 2: (B, 3, H, W) twice -> scalar."""
    return F.mse_loss(x_hat, x, reduction="sum") / len(x)


def weighted_squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """L_w of section 3.4: the squared error of each pixel times `patch_weights(x)`; scalar."""
    patches = F.avg_pool2d((x_hat - x).square().sum(1, keepdim=True), PATCH, divisor_override=1)
    return (patch_weights(x) * patches).sum() / len(x)


def laplacian(x: Tensor) -> Tensor:
    """|4-neighbour Laplacian| with replicated border, averaged over channels: (B, C, H, W) -> (B, 1, H, W).

    Neighbours are added in pairs so that a constant image gives exactly zero (reading A7).
    """
    p = F.pad(x, (1, 1, 1, 1), mode="replicate")
    vertical = p[:, :, :-2, 1:-1] + p[:, :, 2:, 1:-1]
    horizontal = p[:, :, 1:-1, :-2] + p[:, :, 1:-1, 2:]
    return (vertical + horizontal - 4 * x).abs().mean(1, keepdim=True)


def patch_weights(x: Tensor) -> Tensor:
    """Weight of each 8 x 8 patch: (B, C, H, W) -> (B, 1, H / 8, W / 8), mean 1 in every image.

    Proportional to the mean magnitude of the Laplacian in the patch and 'normalised to sum to one'
    over pixels, then scaled by the number of pixels so that L_w keeps the scale of the squared
    error (reading A6). A constant image has uniform weights.
    """
    energy = F.avg_pool2d(laplacian(x), PATCH)  # (B, 1, H / 8, W / 8)
    mean = energy.mean(dim=(1, 2, 3), keepdim=True)
    return torch.where(mean > 0, energy / mean.clamp_min(torch.finfo(x.dtype).tiny), 1.0)


def pixel_weights(x: Tensor) -> Tensor:
    """`patch_weights` at every pixel: (B, C, H, W) -> (B, 1, H, W); the masks of Figure 3."""
    return F.interpolate(patch_weights(x), scale_factor=PATCH, mode="nearest")


def gaussian_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(0, I)) of Eq. 2 and 9, summed over latents: scalar."""
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum() / len(mean)


def bernoulli_kl(logits: Tensor, prior: float) -> Tensor:
    """KL(Bern(sigmoid(logits)) || Bern(prior)) of Eq. 9 and 11, summed over parts and locations: scalar."""
    log_p, log_q = bernoulli_log_probs(logits)
    p = torch.sigmoid(logits)
    kl = p * (log_p - math.log(prior)) + (1 - p) * (log_q - math.log1p(-prior))
    return kl.sum() / len(logits)


def judged_real(logits: Tensor) -> Tensor:
    """-log sigmoid(logits), averaged: what is paid when the discriminator doubts; scalar."""
    return F.softplus(-logits).mean()


def judged_fake(logits: Tensor) -> Tensor:
    """-log(1 - sigmoid(logits)), averaged; scalar."""
    return F.softplus(logits).mean()


RECONSTRUCTIONS = {"l2": squared_error, "lw": weighted_squared_error}
