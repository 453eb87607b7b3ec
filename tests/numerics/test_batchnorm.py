"""Batch-norm statistics of images, layer by layer."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from patchvae.models.trunk import Trunk
from patchvae.numerics.batchnorm import SyncBatchNorm2d, calibrate, synchronise


def images() -> Iterator[Tensor]:
    """Seven images of little contrast, in batches of unequal size."""
    generator = torch.Generator().manual_seed(2)
    x = 0.3 + 0.2 * torch.rand(7, 3, 64, 64, generator=generator)
    return iter(x.split([3, 3, 1]))


@pytest.mark.parametrize("name", ["resnet9", "resnet18"])
def test_every_layer_normalises_to_mean_0_and_variance_1_over_all_images(name: str) -> None:
    torch.manual_seed(0)
    trunk = Trunk(name).eval()
    weights = {n: p.clone() for n, p in trunk.named_parameters()}
    calibrate(trunk, images)
    seen: dict[str, list[Tensor]] = {}
    layers = {n: m for n, m in trunk.named_modules() if isinstance(m, nn.BatchNorm2d)}
    for n, layer in layers.items():
        layer.register_forward_hook(
            lambda m, i, out, n=n: seen.setdefault(n, []).append(out.clone())
        )
    with torch.no_grad():
        for x in images():
            trunk(x)
    assert len(seen) == {"resnet9": 10, "resnet18": 20}[name]
    for n, outputs in seen.items():
        y = torch.cat([out.transpose(0, 1).flatten(1) for out in outputs], 1).double()
        torch.testing.assert_close(y.mean(1), torch.zeros(len(y)).double(), atol=2e-4, rtol=0)
        # a channel whose variance is near BN's epsilon is divided by a little more
        var = layers[n].running_var
        assert var is not None
        expected = (var / (var + layers[n].eps)).double()
        torch.testing.assert_close(y.var(1, correction=0), expected, atol=1e-3, rtol=0)
    assert all(torch.equal(p, weights[n]) for n, p in trunk.named_parameters())
    assert not trunk.training


def test_calibration_does_not_depend_on_batches_or_on_what_was_there() -> None:
    torch.manual_seed(0)
    one, other = Trunk().eval(), Trunk().train()
    other.load_state_dict(one.state_dict())
    for module in other.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            module.running_mean.fill_(5)
    calibrate(one, images)
    calibrate(other, lambda: torch.cat(list(images())).split(7))
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], rtol=1e-4, atol=1e-5)
    assert other.training


def test_several_ranks_share_the_layers_that_were_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same tensors by the same names; one rank keeps its layers."""
    trunk = Trunk().eval()
    trunk.bn1.requires_grad_(False)
    before, layer = dict(trunk.state_dict(keep_vars=True)), trunk.bn1
    synchronise(trunk)
    assert trunk.bn1 is layer
    monkeypatch.setenv("WORLD_SIZE", "2")
    synchronise(trunk)
    layers = [m for m in trunk.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(layers) == 10
    assert all(type(m) is SyncBatchNorm2d and not m.training for m in layers)
    after = trunk.state_dict(keep_vars=True)
    assert list(after) == list(before)
    assert all(after[name] is tensor for name, tensor in before.items())
    assert not trunk.bn1.weight.requires_grad
