"""The paper's losses, one pure function an equation.

Every loss is summed over pixels or latents and averaged over the batch (reading A3). With relaxed
samples of the visibilities and the KL of discrete ones the sum is no bound on the evidence.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

PATCH = 8  # side in pixels of the patches of section 3.4


def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """|x - x_hat|^2 of Eq. 2: (B, 3, H, W) twice -> scalar."""
    return F.mse_loss(x_hat, x, reduction="sum") / len(x)


def weighted_squared_error(x_hat: Tensor, x: Tensor, weights: Tensor) -> Tensor:
    """L_w of section 3.4: the squared error of each patch times its weight; scalar.

    `weights` (B, 1, H / 8, W / 8) serve all channels, (B, 3, H / 8, W / 8) one each.
    """
    error = (x_hat - x).square()
    if weights.shape[1] == 1:
        error = error.sum(1, keepdim=True)
    return (weights * F.avg_pool2d(error, PATCH, divisor_override=1)).sum() / len(x)


def laplacian(x: Tensor, neighbours: int = 4) -> Tensor:
    """|Laplacian| of 4 or 8 neighbours with replicated border: (B, C, H, W) -> (B, C, H, W).

    Neighbours are added in pairs so that a constant image gives exactly zero (reading A7).
    """
    p = F.pad(x, (1, 1, 1, 1), mode="replicate")
    vertical = p[:, :, :-2, 1:-1] + p[:, :, 2:, 1:-1]
    horizontal = p[:, :, 1:-1, :-2] + p[:, :, 1:-1, 2:]
    around = vertical + horizontal
    if neighbours == 8:
        falling = p[:, :, :-2, :-2] + p[:, :, 2:, 2:]
        rising = p[:, :, :-2, 2:] + p[:, :, 2:, :-2]
        around = around + (falling + rising)
    return (around - neighbours * x).abs()


def patch_weights(x: Tensor, neighbours: int = 4, channels: str = "mean") -> Tensor:
    """Weight of each 8 x 8 patch: (B, C, H, W) -> (B, 1, H / 8, W / 8), mean 1 in every image.

    Proportional to the mean magnitude of the Laplacian in the patch and 'normalised to sum to one'
    over pixels, then scaled by the number of pixels so that L_w keeps the scale of the squared
    error (reading A6). A constant image has uniform weights. With `channels: each` every channel
    has weights of its own, (B, C, H / 8, W / 8).
    """
    magnitude = laplacian(x, neighbours)
    if channels == "mean":
        magnitude = magnitude.mean(1, keepdim=True)
    energy = F.avg_pool2d(magnitude, PATCH)  # (B, 1 or C, H / 8, W / 8)
    mean = energy.mean(dim=(2, 3), keepdim=True)
    return torch.where(mean > 0, energy / mean.clamp_min(torch.finfo(x.dtype).tiny), 1.0)


def pixel_weights(x: Tensor) -> Tensor:
    """`patch_weights` at every pixel: (B, C, H, W) -> (B, 1, H, W); the masks of Figure 3."""
    return F.interpolate(patch_weights(x), scale_factor=PATCH, mode="nearest")


@dataclass(frozen=True)
class Reconstruction:
    """The reconstruction error that a VAE is trained with: L2 (Eq. 2) or, `weighted`, L_w (3.4).

    The fields are the protocol's section `reconstruction` (readings A3, A6, A7). `matched` gives
    L_w the value of L2 in every batch and the direction of its own gradient: else a smaller error
    raises the effective weight of the KL, and rows with L_w differ in two things. Where several
    processes share a batch, `mean` gives the means of their values.
    """

    weighted: bool = False
    reduction: str = "sum"
    scale: str = "pixels"
    laplacian: int = 4
    channels: str = "mean"
    mean: Callable[[list[Tensor]], list[Tensor]] = list

    def __call__(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """Of images, (B, 3, H, W) twice -> scalar."""
        if not self.weighted:
            return self._scaled(squared_error(x_hat, x), x_hat, x)
        return self._scaled(weighted_squared_error(x_hat, x, self._weights(x)), x_hat, x)

    def of_features(self, f_hat: Tensor, f: Tensor, x: Tensor) -> Tensor:
        """Of feature maps (B, C, H / 8, W / 8) of x_hat and x, weighted by the patches of x.

        Scalar.
        """
        if not self.weighted:
            return self._scaled(squared_error(f_hat, f), f_hat, f)
        weights = self._weights(x).mean(1, keepdim=True)
        error = (weights * (f_hat - f).square()).sum() / len(f)
        return self._scaled(error, f_hat, f)

    def _weights(self, x: Tensor) -> Tensor:
        return patch_weights(x, self.laplacian, self.channels)

    def _scaled(self, error: Tensor, x_hat: Tensor, x: Tensor) -> Tensor:
        """The error by the protocol's reduction and scale."""
        if self.reduction == "mean":
            error = error / x[0].numel()
        if self.weighted and self.scale == "one":
            error = error / x[0, 0].numel()
        if self.weighted and self.scale == "matched":
            plain = squared_error(x_hat, x) / (x[0].numel() if self.reduction == "mean" else 1)
            ours, theirs = self.mean([error.detach(), plain.detach()])
            error = error * (theirs / ours.clamp_min(torch.finfo(x.dtype).tiny))
        return error


def gaussian_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(0, I)) of Eq. 2 and 9, summed over latents: scalar."""
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum() / len(mean)


def bernoulli_log_probs(logits: Tensor) -> tuple[Tensor, Tensor]:
    """log P(z = 1) and log P(z = 0), stable for logits of any size."""
    return F.logsigmoid(logits), F.logsigmoid(-logits)


def bernoulli_kl(logits: Tensor, prior: float) -> Tensor:
    """KL(Bern(sigmoid(logits)) || Bern(prior)) of Eq.

    9 and 11, summed over parts and locations: scalar.
    """
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
