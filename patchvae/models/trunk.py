"""The shared backbone phi(x): torchvision's resnet18, truncated (paper, section 6.3 and Table 10).

Written out here (docs/architecture.md says why); a test holds weights, names and outputs equal to
torchvision's.
"""

from collections.abc import Iterable

from torch import Tensor, nn

STAGES = {
    "resnet9": ("conv1", "conv3", "conv5"),
    "resnet18": ("conv1", "conv3", "conv5", "conv7", "conv9"),
}
_MODULES = {
    "conv1": ("conv1", "bn1", "relu", "maxpool"),
    "conv3": ("layer1",),
    "conv5": ("layer2",),
    "conv7": ("layer3",),
    "conv9": ("layer4",),
}
_WIDTHS = {"conv3": 64, "conv5": 128, "conv7": 256, "conv9": 512}


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with BN and a residual connection; names as in torchvision."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Trunk(nn.Module):
    """phi(x): (B, 3, H, W) -> (B, C, H / s, W / s).

    `resnet9` is conv1..layer2 (C = 128, s = 8, 683,072 parameters), `resnet18` the whole of it
    (C = 512, s = 32). Stages have the names of Table 1, which counts two convolutions where a
    stage has four (reading A13): conv1 (with BN, ReLU and pooling), conv3 (layer1), conv5 (layer2),
    conv7, conv9. The state dict has torchvision's names.
    """

    def __init__(self, name: str = "resnet9") -> None:
        super().__init__()
        self.name = name
        self.stages = STAGES[name]
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        C = 64
        for stage in self.stages[1:]:
            width, stride = _WIDTHS[stage], 1 if stage == "conv3" else 2
            blocks = nn.Sequential(BasicBlock(C, width, stride), BasicBlock(width, width, 1))
            self.add_module(_MODULES[stage][0], blocks)
            C = width
        self.channels = C
        self.doublings = len(self.stages)
        self.stride = 2**self.doublings
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def stage(self, name: str) -> list[nn.Module]:
        """The modules of one stage, in order."""
        return [getattr(self, module) for module in _MODULES[name]]

    def through(self, x: Tensor, stages: Iterable[str]) -> Tensor:
        """`x` passed through the given stages only."""
        for name in stages:
            for module in self.stage(name):
                x = module(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.through(x, self.stages)

    def split(self, last_frozen: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Stages up to and including `last_frozen`, and the rest; None freezes nothing."""
        cut = 0 if last_frozen is None else self.stages.index(last_frozen) + 1
        return self.stages[:cut], self.stages[cut:]
