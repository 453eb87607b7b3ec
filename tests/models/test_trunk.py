"""The trunk is torchvision's resnet18, truncated."""

import copy

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from patchvae.models.trunk import STAGES, Trunk

LAYERS = {
    "resnet9": ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2"),
    "resnet18": ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"),
}


def pair(name: str) -> tuple[Trunk, nn.Sequential]:
    """Our trunk and torchvision's layers with the same weights."""
    torch.manual_seed(0)
    theirs = resnet18()
    ours = Trunk(name)
    wanted = {k: v for k, v in theirs.state_dict().items() if k.split(".")[0] in LAYERS[name]}
    assert list(ours.state_dict()) == list(wanted)
    ours.load_state_dict(wanted)
    layers = nn.Sequential(*(copy.deepcopy(getattr(theirs, layer)) for layer in LAYERS[name]))
    return ours, layers


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("training", [True, False])
def test_outputs_are_torchvisions(name: str, training: bool) -> None:
    ours, theirs = pair(name)
    x = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    for _ in range(2):  # the second pass sees the running statistics that the first one moved
        assert torch.equal(ours.train(training)(x), theirs.train(training)(x))
    moved = [b.clone() for name, b in theirs.named_buffers() if name.endswith("running_mean")]
    kept = [b for name, b in ours.named_buffers() if name.endswith("running_mean")]
    assert all(map(torch.equal, kept, moved))


def test_initial_weights_have_torchvisions_distribution() -> None:
    torch.manual_seed(0)
    theirs = resnet18().state_dict()
    for name, weight in Trunk("resnet18").state_dict().items():
        if weight.dim() == 4 and weight.numel() > 30_000:
            assert weight.std().item() == pytest.approx(theirs[name].std().item(), rel=0.02), name
        elif weight.dim() == 1:
            assert torch.equal(weight, theirs[name]), name


@pytest.mark.parametrize(
    ("name", "channels", "stride", "parameters"),
    [("resnet9", 128, 8, 683_072), ("resnet18", 512, 32, 11_176_512)],
)
def test_shape_stride_and_size(name: str, channels: int, stride: int, parameters: int) -> None:
    trunk = Trunk(name).eval()
    assert (trunk.channels, trunk.stride) == (channels, stride)
    assert sum(p.numel() for p in trunk.parameters()) == parameters
    assert trunk(torch.zeros(2, 3, 96, 64)).shape == (2, channels, 96 // stride, 64 // stride)


@pytest.mark.parametrize("name", STAGES)
def test_every_split_composes_to_the_whole(name: str) -> None:
    torch.manual_seed(0)
    trunk = Trunk(name).eval()
    x = torch.randn(2, 3, 64, 64)
    whole = trunk(x)
    assert trunk.split(None) == ((), trunk.stages)
    for k, last in enumerate(trunk.stages):
        frozen, rest = trunk.split(last)
        assert frozen == trunk.stages[: k + 1]
        assert frozen + rest == trunk.stages
        assert torch.equal(trunk.through(trunk.through(x, frozen), rest), whole)


def test_stages_own_every_parameter_once() -> None:
    trunk = Trunk("resnet18")
    owned = [p for s in trunk.stages for module in trunk.stage(s) for p in module.parameters()]
    assert len(owned) == len(set(map(id, owned)))
    assert set(map(id, owned)) == set(map(id, trunk.parameters()))


def test_stages_hold_the_convolutions_of_table_10() -> None:
    """1 and 2 x 2 a stage: Table 1 calls the first five 'conv3', the nine 'conv5' (A13)."""
    trunk = Trunk("resnet18")
    counted = []
    for name in trunk.stages:
        leaves = [leaf for m in trunk.stage(name) for leaf in m.named_modules(prefix="m")]
        counted.append(
            sum(isinstance(m, nn.Conv2d) and "downsample" not in key for key, m in leaves)
        )
    assert counted == [1, 4, 4, 4, 4]
