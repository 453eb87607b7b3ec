"""Adam and SGD over one group of parameters, by torch's own fused kernels.

The same arithmetic as `torch.optim.Adam(fused=True)` and `torch.optim.SGD(fused=True)`, bit for bit
(a test holds them equal), without their start-up (docs/architecture.md). All state lies in tensors
on the device, so a step can be captured in a CUDA graph.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor


class Optimizer(Protocol):
    """What the loop needs of an optimizer; `lr` may be changed between steps."""

    lr: float

    def step(self, gradients: Sequence[Tensor]) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Adam:
    """Adam (Kingma & Ba 2015) with L2 weight decay: m and v are running means of g and g^2.

    theta -= lr * m_hat / (sqrt(v_hat) + eps), eps = 1e-8, both means corrected for their start.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        lr: float,
        betas: tuple[float, float],
        weight_decay: float = 0.0,
    ) -> None:
        self.parameters = list(parameters)
        self.lr, self.betas, self.weight_decay = lr, betas, weight_decay
        self.state = {
            "m": [torch.zeros_like(p) for p in self.parameters],
            "v": [torch.zeros_like(p) for p in self.parameters],
            "step": [torch.zeros((), device=p.device) for p in self.parameters],
        }

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One update from the gradients of the parameters, in their order."""
        torch._foreach_add_(self.state["step"], 1)
        torch._fused_adam_(
            self.parameters,
            list(gradients),
            self.state["m"],
            self.state["v"],
            [],
            self.state["step"],
            lr=self.lr,
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=self.weight_decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )

    def state_dict(self) -> dict[str, Any]:
        return self.state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        _copy(self.state, state)


class SGD:
    """Stochastic gradient descent with momentum: b = momentum * b + g, theta -= lr * b."""

    def __init__(
        self, parameters: Sequence[Tensor], lr: float, momentum: float, weight_decay: float = 0.0
    ) -> None:
        self.parameters = list(parameters)
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.state = {"b": [torch.zeros_like(p) for p in self.parameters]}

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One update from the gradients of the parameters, in their order."""
        torch._fused_sgd_(
            self.parameters,
            list(gradients),
            self.state["b"] if self.momentum else [],  # the kernel takes none without momentum
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            lr=self.lr,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,  # b starts at zero, so the first step is no exception
        )

    def state_dict(self) -> dict[str, Any]:
        return self.state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        _copy(self.state, state)


def _copy(to: dict[str, list[Tensor]], found: dict[str, list[Tensor]]) -> None:
    for name, tensors in to.items():
        for mine, saved in zip(tensors, found[name], strict=True):
            mine.copy_(saved)
