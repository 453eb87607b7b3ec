"""beta-VAE with a fixed-size bottleneck (paper, Eq. 3 and Tables 6-9)."""

import torch
from torch import Tensor, nn

from patchvae.models import sampling
from patchvae.models.base import VAE, Terms
from patchvae.models.bottleneck import FixedBottleneck
from patchvae.models.decoder import LatentDecoder
from patchvae.models.losses import Reconstruction
from patchvae.models.trunk import Trunk


class BetaVAE(VAE):
    """|x - x_hat|^2 + beta KL(Q(z|x) || N(0, I)) with z of `latent_dim` dimensions."""

    def __init__(
        self, size: int, recon: Reconstruction, *, trunk: str, latent_dim: int, beta: float
    ) -> None:
        super().__init__(recon, {"kl": beta})
        self.trunk = Trunk(trunk)
        self.latent_dim, side = latent_dim, size // self.trunk.stride
        self.bottleneck = FixedBottleneck(self.trunk.channels, side, latent_dim, outputs=2)
        self.decoder = LatentDecoder(latent_dim, side, self.trunk.doublings)

    def blocks(self) -> dict[str, list[nn.Module]]:
        return {"heads": [self.bottleneck], "decoder": [self.decoder]}

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of Q(z|x), both (B, latent_dim)."""
        mean, log_var = self.bottleneck(self.trunk(x))
        return mean, log_var

    def sample(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        """z ~ N(0, I), decoded."""
        z = torch.randn(count, self.latent_dim, generator=generator)
        return self.decoder(z.to(self.device))

    def forward(self, x: Tensor) -> tuple[Tensor, Terms]:
        mean, log_var = self.posterior(x)
        z = sampling.gaussian(mean, log_var) if self.training else mean
        return self.decoder(z), {"kl": self.latent_kl(mean, log_var)}
