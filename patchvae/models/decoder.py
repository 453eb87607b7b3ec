"""The pyramid decoder G (paper, Tables 8 and 9).

Each layer doubles the side and halves the channels.
"""

from torch import Tensor, nn


def _block(deconvolution: nn.Module, channels: int) -> list[nn.Module]:
    return [deconvolution, nn.BatchNorm2d(channels), nn.LeakyReLU(0.2, inplace=True)]


class Pyramid(nn.Sequential):
    """(B, C, h, w) -> x_hat (B, 3, h * 2^doublings, w * 2^doublings) in [-1, 1].

    A 1 x 1 layer to 64 * 2^(doublings - 1) channels, then `doublings` 4 x 4 deconvolutions of
    stride 2, the last one to RGB with tanh and neither bias nor BN.
    """

    def __init__(self, in_channels: int, doublings: int = 3) -> None:
        width = 64 * 2 ** (doublings - 1)
        layers = _block(nn.ConvTranspose2d(in_channels, width, 1, bias=False), width)
        for _ in range(doublings - 1):
            half = width // 2
            layers += _block(nn.ConvTranspose2d(width, half, 4, 2, 1, bias=False), half)
            width = half
        super().__init__(*layers, nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh())


class LatentDecoder(nn.Module):
    """z (B, Z) -> x_hat (B, 3, H, W).

    A `side` x `side` deconvolution of z to 64 channels, then the pyramid.
    """

    def __init__(self, latent_dim: int, side: int, doublings: int = 3) -> None:
        super().__init__()
        self.expand = nn.Sequential(
            *_block(nn.ConvTranspose2d(latent_dim, 64, side, bias=False), 64)
        )
        self.pyramid = Pyramid(64, doublings)

    def forward(self, z: Tensor) -> Tensor:
        return self.pyramid(self.expand(z[:, :, None, None]))
