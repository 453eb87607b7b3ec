"""Batch normalisation over a batch that is spread over several processes."""

import torch
from torch import Tensor, nn

from patchvae import parallel
from patchvae.runtime import ranks


class SyncBatchNorm2d(nn.BatchNorm2d):
    """`BatchNorm2d` with the statistics of all ranks' equal shares: (B, C, H, W) -> (B, C, H, W).

    mean = E[mean_r] and var = E[var_r] + Var[mean_r] over the ranks r, in one exchange. Unlike
    `nn.SyncBatchNorm` it also runs on CPUs.
    """

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
    """Give every batch normalisation the whole batch's statistics, where there are several ranks.

    Both classes hold the same state, so an instance only changes its class.
    """
    if ranks() > 1:
        for inner in module.modules():
            if type(inner) is nn.BatchNorm2d:
                inner.__class__ = SyncBatchNorm2d
