"""Reparameterised samples of the two posteriors (paper, section 3.2)."""

import torch
from torch import Tensor

from patchvae.numerics.parallel import share, whole
from patchvae.runtime.launch import ranks


def gaussian(mean: Tensor, log_var: Tensor) -> Tensor:
    """z = mean + sigma * eps with eps ~ N(0, I): the reparameterisation trick of section 3.1."""
    return torch.addcmul(mean, torch.exp(0.5 * log_var), share(torch.randn_like(whole(mean))))


def standard_normal(x: Tensor, Z: int) -> Tensor:
    """z ~ N(0, I), (B, Z), one for each of x (B, ...)."""
    return share(torch.randn(len(x) * ranks(), Z, dtype=x.dtype, device=x.device))


def logistic(like: Tensor) -> Tensor:
    """Standard logistic noise, log u - log(1 - u) with u ~ U(0, 1), finite for every u drawn."""
    eps = torch.finfo(like.dtype).eps
    u = share(torch.rand_like(whole(like))).clamp_(eps, 1 - eps)
    return torch.logit(u)


def relaxed_bernoulli(logits: Tensor, temperature: float | Tensor) -> Tensor:
    """z = sigmoid((logits + logistic noise) / tau) in (0, 1), the binary Concrete distribution.

    As tau -> 0 a sample tends to Bern(sigmoid(logits)). Source: Maddison et al. 2016, used in
    section 3.2 for part visibility.
    """
    return torch.sigmoid((logits + logistic(logits)) / temperature)


def visibility_mean(logits: Tensor, hard: bool) -> Tensor:
    """What replaces a visibility sample in eval mode.

    P(z = 1), or the indicator of P(z = 1) > 1/2.
    """
    return (logits > 0).to(logits.dtype) if hard else torch.sigmoid(logits)
