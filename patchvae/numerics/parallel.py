"""Several processes for one training, one a GPU, started by torchrun (docs/cluster.md).

Every process (rank) has an equal share of each batch and the same weights. DistributedDataParallel
does not fit: it averages what `backward()` leaves in every parameter, while a phase here takes the
gradients of its own parameters alone, several times a step. So gradients are averaged explicitly,
in one all_reduce a phase. Noise is drawn for the whole batch on every rank and cut; batch
statistics are the whole batch's (`numerics/batchnorm.py`). What one process computes, several
compute up to rounding. With one process every function here returns what it is given.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from patchvae.errors import ConfigError, SuiteError
from patchvae.runtime.launch import rank, ranks
from patchvae.runtime.machine import pick_device


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Within the block the ranks talk to each other, by nccl on GPUs and gloo on CPUs.

    ConfigError on a rank that has no GPU of its own, SuiteError when another rank is gone. After an
    error the process ends without taking leave: torchrun then ends the others.
    """
    if ranks() == 1:
        yield
        return
    place: dict[str, Any] = {}
    if pick_device(device).type == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise ConfigError(
                f"{ranks()} processes need as many GPUs, but PyTorch sees "
                f"{torch.cuda.device_count()}:"
                " lower gpus_per_run in the study, or --gpus"
            )
        torch.cuda.set_device(local)
        place = {"device_id": torch.device("cuda", local)}
    try:
        dist.init_process_group("nccl" if place else "gloo", **place)
        yield
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise SuiteError(
                f"process {rank()} of the training lost another one, which says why: run the "
                "same command"
                " again to continue from the last state"
            ) from error
        raise
    dist.destroy_process_group()


def check_batch(B: int) -> None:
    """ConfigError unless the batch divides among the ranks.

    Only then a mean of means is the mean.
    """
    if B % ranks():
        raise ConfigError(
            f"a batch of {B} does not divide among {ranks()} processes: choose gpus_per_run so "
            "that it does"
        )


def share(x: Tensor) -> Tensor:
    """This rank's part of a tensor along its first dimension."""
    return x.chunk(ranks())[rank()] if ranks() > 1 else x


def whole(x: Tensor) -> Tensor:
    """An empty tensor for all ranks' parts of which `x` is one, in the same order in memory.

    `share(torch.randn_like(whole(x)))` is then what one process draws for these images.
    """
    if ranks() == 1:
        return x
    order = sorted(range(x.dim()), key=x.stride, reverse=True)
    shape = [len(x) * ranks(), *x.shape[1:]]
    return x.new_empty([shape[k] for k in order]).permute([order.index(k) for k in range(x.dim())])


def mine(work: range) -> range:
    """Every `ranks()`-th piece of work, beginning with this rank's."""
    return work[rank() :: ranks()]


def total(x: Tensor) -> Tensor:
    """Sum over the ranks, in place."""
    if ranks() > 1:
        dist.all_reduce(x)
    return x


def mean(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Means over the ranks, by one all_reduce of all tensors laid end to end; strides are kept."""
    if ranks() == 1:
        return list(tensors)
    flat = total(torch.cat([x.detach().reshape(-1) for x in tensors])).div_(ranks())
    parts = flat.split([x.numel() for x in tensors])
    return [
        torch.empty_like(x).copy_(part.view(x.shape))
        for x, part in zip(tensors, parts, strict=True)
    ]


def anywhere(flag: bool) -> bool:
    """Whether the flag is set on any rank, the same answer on all."""
    if ranks() == 1:
        return flag
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    return bool(total(torch.tensor(int(flag), device=device)))


def wait() -> None:
    """Return once every rank is here."""
    if ranks() > 1:
        dist.barrier()


class _Gather(torch.autograd.Function):
    """All ranks' tensors (R, ...).

    Backwards the sum of what every rank's loss says of this one's.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(ranks())]
        dist.all_gather(parts, x)
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return total(gradient.clone(memory_format=torch.contiguous_format))[rank()]


def gather(x: Tensor) -> Tensor:
    """Tensors of the same shape from all ranks, stacked; gradients flow back across ranks."""
    return _Gather.apply(x.contiguous())
