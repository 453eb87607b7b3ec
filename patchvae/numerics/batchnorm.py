"""Batch normalisation: over a batch that several processes share, and with statistics of images."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Self

import torch
from torch import Tensor, nn

from patchvae.numerics import parallel
from patchvae.runtime.launch import ranks


class SyncBatchNorm2d(nn.BatchNorm2d):
    """`BatchNorm2d` with the statistics of all ranks' equal shares: (B, C, H, W) -> (B, C, H, W).

    mean = E[mean_r] and var = E[var_r] + Var[mean_r] over the ranks r, in one exchange. Unlike
    `nn.SyncBatchNorm` it also runs on CPUs.
    """

    @classmethod
    def over(cls, layer: nn.BatchNorm2d) -> Self:
        """With the very parameters and statistics of `layer`, not copies."""
        new = cls(layer.num_features, layer.eps, layer.momentum).train(layer.training)
        for name, tensor in [*layer.named_parameters(), *layer.named_buffers()]:
            setattr(new, name, tensor)
        return new

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        var, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)  # (C,)
        means, variances = parallel.gather(torch.stack([mean, var])).unbind(1)  # (R, C)
        mean = means.mean(0)
        var = variances.mean(0) + means.var(0, correction=0)
        self._track(mean, var, ranks() * x.numel() // x.shape[1])
        scale = self.weight * torch.rsqrt(var + self.eps)
        return (x - _maps(mean)) * _maps(scale) + _maps(self.bias)

    @torch.no_grad()
    def _track(self, mean: Tensor, var: Tensor, n: int) -> None:
        """Move the running statistics, the variance's unbiased, as `BatchNorm2d` does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var * n / (n - 1), self.momentum)


def _maps(x: Tensor) -> Tensor:
    return x[:, None, None]


def synchronise(module: nn.Module) -> None:
    """Where there are several ranks, replace each batch normalisation by one of the whole batch."""
    if ranks() == 1:
        return
    for outer in list(module.modules()):
        for name, inner in outer.named_children():
            if type(inner) is nn.BatchNorm2d:
                setattr(outer, name, SyncBatchNorm2d.over(inner))


class _Reached(Exception):  # noqa: N818 - no error
    """The forward pass has come as far as it was needed."""


@torch.no_grad()
def calibrate(network: nn.Module, batches: Callable[[], Iterable[Tensor]]) -> None:
    """Give every batch normalisation the mean and variance of its inputs over all images.

    No weight changes. Layers are taken in the order in which the network lists and runs them, each
    with those before it calibrated, so that in eval mode what a layer normalises has mean 0 and
    variance 1 over the images exactly: one pass a layer, only as deep as that layer. Sums in
    float64.
    """
    was_training = network.training
    network.eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            _calibrate(network, layer, batches())
    network.train(was_training)


def _calibrate(network: nn.Module, layer: nn.BatchNorm2d, batches: Iterable[Tensor]) -> None:
    assert layer.running_mean is not None
    assert layer.running_var is not None
    sums = layer.running_mean.new_zeros(2, layer.num_features, dtype=torch.float64)
    count = 0

    def take(_layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal count
        x = inputs[0].double()
        sums.add_(torch.stack([x.sum((0, 2, 3)), x.square().sum((0, 2, 3))]))
        count += x.numel() // x.shape[1]
        raise _Reached

    with layer.register_forward_pre_hook(take):
        for x in batches:
            with suppress(_Reached):
                network(x)
    mean, square = sums / count
    layer.running_mean.copy_(mean)
    layer.running_var.copy_(square - mean.square())
