"""What PatchVAE is compared with to find what its lead comes from; not of the paper.

Each takes one thing away from it: the visibility of parts, or parts altogether.
"""

from torch import Generator, Tensor, nn, randn

from patchvae.models import sampling
from patchvae.models.base import VAE, Terms
from patchvae.models.decoder import Pyramid
from patchvae.models.losses import Reconstruction
from patchvae.models.trunk import Trunk
from patchvae.numerics.precision import widen


class EverywhereVAE(VAE):
    """|x - x_hat|^2 + beta_app KL(Q^A || N(0, I)): PatchVAE with all parts visible in all cells.

    An appearance is the plain mean over the h x w cells (PatchVAE's formula with equal weights),
    and the decoder gets the same code in every cell: nothing of an image's places is left.
    """

    def __init__(
        self,
        size: int,
        recon: Reconstruction,
        *,
        trunk: str,
        num_parts: int,
        part_dim: int,
        beta_app: float,
    ) -> None:
        super().__init__(recon, {"kl_app": beta_app})
        self.trunk = Trunk(trunk)
        self.ND = num_parts * part_dim
        self.appearance = nn.Conv2d(self.trunk.channels, 2 * self.ND, 3, 1, 1)
        self.decoder = Pyramid(self.ND, self.trunk.doublings)

    def blocks(self) -> dict[str, list[nn.Module]]:
        return {"heads": [self.appearance], "decoder": [self.decoder]}

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the appearances of all parts, both (B, ND)."""
        cells = widen(self.appearance(self.trunk(x))).flatten(2)  # (B, 2 ND, L)
        mean, log_var = cells.unflatten(1, (2, self.ND)).unbind(1)
        return mean.mean(-1), log_var.exp().mean(-1).log()

    def decode(self, z: Tensor, side: int) -> Tensor:
        """z (B, ND) in every one of side x side cells -> x_hat (B, 3, H, W)."""
        return self.decoder(z[:, :, None, None].expand(-1, -1, side, side))

    def sample(self, count: int, size: int, generator: Generator) -> Tensor:
        """z ~ N(0, I), decoded."""
        z = randn(count, self.ND, generator=generator).to(self.device)
        return self.decode(z, size // self.trunk.stride)

    def forward(self, x: Tensor) -> tuple[Tensor, Terms]:
        mean, log_var = self.posterior(x)
        z = sampling.gaussian(mean, log_var) if self.training else mean
        x_hat = self.decode(z, x.shape[-1] // self.trunk.stride)
        return x_hat, {"kl_app": self.latent_kl(mean, log_var)}


class SpatialVAE(VAE):
    """|x - x_hat|^2 + beta KL(Q(z|x) || N(0, I)) with z of `latent_dim` dimensions in every cell.

    Head and decoder are PatchVAE's; `latent_dim` 96 gives its decoder a code of the same size.
    """

    def __init__(
        self, size: int, recon: Reconstruction, *, trunk: str, latent_dim: int, beta: float
    ) -> None:
        super().__init__(recon, {"kl": beta})
        self.trunk = Trunk(trunk)
        self.Z = latent_dim
        self.head = nn.Conv2d(self.trunk.channels, 2 * latent_dim, 3, 1, 1)
        self.decoder = Pyramid(latent_dim, self.trunk.doublings)

    def blocks(self) -> dict[str, list[nn.Module]]:
        return {"heads": [self.head], "decoder": [self.decoder]}

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of Q(z|x), both (B, Z, h, w)."""
        mean, log_var = widen(self.head(self.trunk(x))).chunk(2, dim=1)
        return mean, log_var

    def sample(self, count: int, size: int, generator: Generator) -> Tensor:
        """z ~ N(0, I) in every cell, decoded."""
        side = size // self.trunk.stride
        return self.decoder(randn(count, self.Z, side, side, generator=generator).to(self.device))

    def forward(self, x: Tensor) -> tuple[Tensor, Terms]:
        mean, log_var = self.posterior(x)
        z = sampling.gaussian(mean, log_var) if self.training else mean
        return self.decoder(z), {"kl": self.latent_kl(mean, log_var)}
