"""How numbers are computed, the same for training and probing.

Precision, determinism, CUDA graphs.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from patchvae.runtime.machine import Options
from patchvae.runtime.progress import log

Step = Callable[..., tuple[Tensor, dict[str, Tensor]]]
Replay = Callable[[], Any]
WARM_UP = 3  # steps launched one by one before a capture: libraries choose kernels and workspaces


def set_numerics(precision: str, deterministic: bool) -> None:
    """Choose the arithmetic of this process, before its first tensor on a GPU.

    `fp32` is IEEE single precision, which cuDNN's convolutions are not by PyTorch's default; `tf32`
    rounds the factors of products to 10 bits; `bf16` is IEEE single outside `autocast`. With
    `deterministic` PyTorch uses no kernel whose sums depend on timing, or raises; a CPU uses none
    anyway.
    """
    tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = not deterministic
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # only where it changes something: the call imports PyTorch's compiler
    if deterministic != torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(deterministic)


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Within the block convolutions and products take bfloat16, if that is the precision."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def widen(x: Tensor) -> Tensor:
    """What `autocast` left in bfloat16, in float32: sums, exponentials and noise follow."""
    return x.float() if x.dtype == torch.bfloat16 else x


def finish(device: torch.device) -> None:
    """Wait for all that was launched, before a clock is read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def cuda_graph(step: Step, inputs: tuple[Tensor, ...]) -> tuple[Replay, Any]:
    """Record what `step` launches, which runs nothing.

    Returns the replay and where its outputs lie.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = step(*inputs)
    return graph.replay, outputs


class Captured:
    """A step recorded once and replayed: one launch instead of some hundred.

    All calls have inputs of the same shapes. The first `WARM_UP` run as they are, so they are steps
    like any other; then the step is captured on inputs that stay in place. What the step reads
    besides its inputs must be in tensors that are changed in place: weights, moments, temperature,
    random state. Where capture fails, a line says so and every step is launched as before.
    """

    def __init__(
        self,
        step: Step,
        capture: Callable[[Step, tuple[Tensor, ...]], tuple[Replay, Any]] = cuda_graph,
    ) -> None:
        self.step, self.capture = step, capture
        self.calls = 0
        self.inputs: tuple[Tensor, ...] = ()
        self.outputs: Any = None
        self.replay: Replay | None = None

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        self.calls += 1
        if self.calls == WARM_UP + 1:
            self._record(inputs)
        if self.replay is None:
            return self.step(*inputs)
        for place, given in zip(self.inputs, inputs, strict=True):
            place.copy_(given)
        self.replay()
        loss, terms = self.outputs
        return loss, terms

    def _record(self, inputs: tuple[Tensor, ...]) -> None:
        self.inputs = tuple(torch.empty_like(x).copy_(x) for x in inputs)
        try:
            self.replay, self.outputs = self.capture(self.step, self.inputs)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            log(f"no CUDA graph ({reason}): every step is launched kernel by kernel")


def fastest(step: Step, device: torch.device, options: Options) -> Step:
    """The step itself, or on one GPU, unless `options` say no, the step as a CUDA graph."""
    return Captured(step) if options.captures(device) else step
