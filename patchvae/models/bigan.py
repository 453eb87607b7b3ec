"""BiGAN (Donahue et al. 2016), the paper's adversarial baseline (Tables 6-9; reading A17)."""

import torch
from torch import Tensor, nn

from patchvae.models.base import Phase, Terms, Unsupervised
from patchvae.models.bottleneck import FixedBottleneck
from patchvae.models.decoder import LatentDecoder
from patchvae.models.discriminator import JointDiscriminator
from patchvae.models.losses import judged_fake, judged_real
from patchvae.models.sampling import standard_normal
from patchvae.models.trunk import Trunk


class BiGAN(Unsupervised):
    """E(x) -> z, G(z) -> x and a joint D(x, z) that tells (x, E(x)) from (G(z), z), z ~ N(0, I).

    The encoder and generator phase swaps the labels (the non-saturating form); the discriminator
    phase uses the same pairs, so each step runs E and G once.
    """

    def __init__(self, size: int, *, trunk: str, latent_dim: int, discriminator: str) -> None:
        super().__init__()
        self.trunk = Trunk(trunk)
        side = size // self.trunk.stride
        self.latent_dim = latent_dim
        self.bottleneck = FixedBottleneck(self.trunk.channels, side, latent_dim, outputs=1)
        self.decoder = LatentDecoder(latent_dim, side, self.trunk.doublings)
        self.discriminator = JointDiscriminator(latent_dim, discriminator)
        self._pairs: tuple[Tensor, Tensor, Tensor] | None = None  # E(x), G(z), z

    def blocks(self) -> dict[str, list[nn.Module]]:
        return {
            "heads": [self.bottleneck],
            "decoder": [self.decoder],
            "discriminator": [self.discriminator],
        }

    def encode(self, x: Tensor) -> Tensor:
        """E(x), (B, 3, H, W) -> (B, latent_dim)."""
        return self.bottleneck(self.trunk(x))[0]

    def reconstruct(self, x: Tensor) -> Tensor:
        """G(E(x)), which nothing ever asked to be x."""
        return self.decoder(self.encode(x))

    def sample(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        """G(z) of z ~ N(0, I)."""
        z = torch.randn(count, self.latent_dim, generator=generator)
        return self.decoder(z.to(self.device))

    def encoder_generator_loss(self, x: Tensor) -> tuple[Tensor, Terms]:
        z = standard_normal(x, self.latent_dim)
        z_hat, x_hat = self.encode(x), self.decoder(z)
        encoder = judged_fake(self.discriminator(x, z_hat))
        generator = judged_real(self.discriminator(x_hat, z))
        self._pairs = z_hat.detach(), x_hat.detach(), z
        return encoder + generator, {"encoder": encoder, "generator": generator}

    def discriminator_loss(self, x: Tensor) -> tuple[Tensor, Terms]:
        assert self._pairs is not None
        z_hat, x_hat, z = self._pairs
        real = judged_real(self.discriminator(x, z_hat))
        loss = real + judged_fake(self.discriminator(x_hat, z))
        return loss, {"discriminator": loss}

    def phases(self) -> list[Phase]:
        owned: list[nn.Module] = [self.trunk, self.bottleneck, self.decoder]
        return [
            Phase(
                "encoder-generator",
                [p for module in owned for p in module.parameters()],
                self.encoder_generator_loss,
            ),
            Phase("discriminator", list(self.discriminator.parameters()), self.discriminator_loss),
        ]
