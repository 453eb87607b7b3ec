"""What a model is to the training loop.

A list of phases, each a loss and the parameters it owns.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from patchvae.models.losses import Reconstruction, gaussian_kl
from patchvae.models.trunk import Trunk

Terms = dict[str, Tensor]
Loss = Callable[[Tensor], tuple[Tensor, Terms]]


@dataclass(frozen=True)
class Phase:
    """One update of a step: `loss(x)` gives the scalar to minimise and the terms to record.

    Only `parameters` are updated; gradients for others are never computed. The phases of a step run
    in order on the same batch, and a later one may use what an earlier one computed.
    """

    name: str
    parameters: list[nn.Parameter]
    loss: Loss


class Unsupervised(nn.Module, ABC):
    """A model with a trunk phi to be learned without labels."""

    trunk: Trunk

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    @classmethod
    def configured(cls, size: int, **settings: Any) -> Self:
        """The network for images of `size` pixels, from its protocol keys by their last words."""
        return cls(size, **settings)

    @abstractmethod
    def phases(self) -> list[Phase]:
        """The updates of one step, in order; empty for a trunk that is not trained."""

    def at_step(self, step: int) -> None:
        """Set what depends on the number of optimiser steps done; called before each step."""

    def blocks(self) -> dict[str, list[nn.Module]]:
        """The modules that a key of the protocol's section `init` is about, by key."""
        return {}

    def look(self, batches: Callable[[], Iterable[Tensor]]) -> None:
        """Take what is needed of the pretraining images without a step; of most models nothing.

        Each call of `batches` goes through all images, (B, 3, H, W) at a time.
        """


@runtime_checkable
class Reconstructs(Protocol):
    """What the figure `reconstructions` asks of a model; it leaves out those without."""

    def reconstruct(self, x: Tensor) -> Tensor:
        """x_hat of images, (B, 3, H, W) -> (B, 3, H, W), in eval mode."""


@runtime_checkable
class Samples(Protocol):
    """What the figure `samples` asks of a model; it leaves out those without."""

    def sample(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        """Images of latents drawn from the prior, (count, 3, size, size), in eval mode.

        `generator` is the CPU's, so that every device shows the same draws.
        """


class VAE(Unsupervised):
    """Reconstruction error and weighted KLs (Eq. 3 and 8): one phase over all parameters.

    `forward(x)` gives the reconstruction (B, 3, H, W) and the unweighted KL terms, each a scalar
    summed over latents and averaged over the batch. It samples in training mode only; in eval mode
    means replace samples, so that it is a function of x. A plain autoencoder is one without KLs.
    """

    def __init__(self, recon: Reconstruction, kl_weights: dict[str, float]) -> None:
        super().__init__()
        self.reconstruction = recon
        self.kl_weights = kl_weights

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Terms]: ...

    def reconstruct(self, x: Tensor) -> Tensor:
        return self(x)[0]

    def latent_kl(self, mean: Tensor, log_var: Tensor) -> Tensor:
        """KL of the Gaussian latents to their prior, N(0, I) unless a model has another: scalar."""
        return gaussian_kl(mean, log_var)

    def divergence(self, kls: Terms) -> Tensor | float:
        """The weighted sum of the KL terms; 0 where there are none."""
        return sum((self.kl_weights[name] * kl for name, kl in kls.items()), 0.0)

    def loss(self, x: Tensor) -> tuple[Tensor, Terms]:
        x_hat, kls = self(x)
        recon = self.reconstruction(x_hat, x)
        return recon + self.divergence(kls), {"recon": recon, **kls}

    def phases(self) -> list[Phase]:
        return [Phase("vae", list(self.parameters()), self.loss)]
