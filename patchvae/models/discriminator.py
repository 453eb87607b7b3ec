"""The discriminators (reading A17).

The paper says only 'four conv layers, two of which have batchnorm'.
"""

import torch
from torch import Tensor, nn

from patchvae.numerics.precision import widen


class Discriminator(nn.Module):
    """x (B, 3, H, W) -> (B, K): four convolutions, BN in the second and third.

    Three 4 x 4 convolutions of stride 2 (64, 128, 256 channels), then one of stride 1 whose outputs
    are averaged over what positions remain. `design: ours` has 4 x 4 there: one position at 32
    pixels, 5 x 5 at 64, 25 x 25 at 224. `release` has 1 x 1, and neither there nor in the first
    layer a bias. Either serves every size from 32 on with the same parameters.
    """

    def __init__(self, design: str, outputs: int = 1) -> None:
        super().__init__()
        ours = design == "ours"
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 4, 2, 1, bias=ours),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(64, 128, 4, 2, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(128, 256, 4, 2, 1, bias=False),
            nn.BatchNorm2d(256),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.last = nn.Conv2d(256, outputs, 4 if ours else 1, bias=ours)

    def score(self, features: Tensor) -> Tensor:
        """Logits (B, K) of the feature maps (B, 256, H / 8, W / 8)."""
        return widen(self.last(features)).mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.score(self.features(x))


class JointDiscriminator(nn.Module):
    """(x, z) -> logits (B, 1).

    The image's 256 features are joined with z, then two linear layers.
    """

    def __init__(self, latent_dim: int, design: str) -> None:
        super().__init__()
        self.image = Discriminator(design, outputs=256)
        self.joint = nn.Sequential(
            nn.LeakyReLU(0.2),
            nn.Linear(256 + latent_dim, 512),
            nn.LeakyReLU(0.2),
            nn.Linear(512, 1),
        )

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return widen(self.joint(torch.cat([self.image(x), z], dim=1)))
