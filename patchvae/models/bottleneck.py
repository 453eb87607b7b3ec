"""Heads of the encoders (paper, Tables 6 and 7): from phi(x) to the parameters of the latents."""

from torch import Tensor, nn

from patchvae.numerics.precision import widen


class FixedBottleneck(nn.Module):
    """phi (B, C, side, side) -> `outputs` vectors (B, Z).

    1 x 1 to 64 channels, then `side` x `side` convolutions.
    """

    def __init__(self, in_channels: int, side: int, latent_dim: int, outputs: int) -> None:
        super().__init__()
        self.reduce = nn.Sequential(
            nn.Conv2d(in_channels, 64, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)
        )
        self.heads = nn.ModuleList(nn.Conv2d(64, latent_dim, side) for _ in range(outputs))

    def forward(self, phi: Tensor) -> list[Tensor]:
        h = self.reduce(phi)
        return [widen(head(h)).flatten(1) for head in self.heads]
