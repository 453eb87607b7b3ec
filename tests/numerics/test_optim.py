"""Our optimizers against torch's, bit for bit."""

import subprocess
import sys

import pytest
import torch

from patchvae.numerics.optim import SGD, Adam

SHAPES = ((7, 3, 3, 3), (5,), (4, 9))


def start() -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(shape).requires_grad_() for shape in SHAPES]


def gradients(step: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize(
    ("ours", "theirs", "settings"),
    [
        (Adam, torch.optim.Adam, {"lr": 1e-3, "betas": (0.9, 0.999)}),
        (Adam, torch.optim.Adam, {"lr": 3e-2, "betas": (0.5, 0.99)}),
        (SGD, torch.optim.SGD, {"lr": 1e-2, "momentum": 0.9}),
    ],
)
def test_ten_steps_are_torchs(ours, theirs, settings, weight_decay):
    mine, reference = start(), start()
    optimizer = ours(mine, **settings, weight_decay=weight_decay)
    expected = theirs(reference, **settings, weight_decay=weight_decay, fused=True)
    for step in range(10):
        if step == 5 and ours is SGD:
            optimizer.lr = expected.param_groups[0]["lr"] = 1e-3
        for parameter, gradient in zip(reference, gradients(step), strict=True):
            parameter.grad = gradient.clone()
        expected.step()
        optimizer.step(gradients(step))
    for a, b in zip(mine, reference, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    "make",
    [lambda p: Adam(p, 1e-3, (0.9, 0.999)), lambda p: SGD(p, 1e-2, 0.9)],
    ids=["adam", "sgd"],
)
def test_a_restored_state_continues_bit_for_bit(make):
    through, stopped = start(), start()
    whole, first = make(through), make(stopped)
    for step in range(6):
        whole.step(gradients(step))
    for step in range(3):
        first.step(gradients(step))
    second = make(stopped)
    second.load_state_dict(first.state_dict())
    for step in range(3, 6):
        second.step(gradients(step))
    assert all(torch.equal(a, b) for a, b in zip(through, stopped, strict=True))


def test_torch_has_the_private_kernels():
    kernels = ("_fused_adam_", "_fused_sgd_", "_foreach_add_")
    gone = [name for name in kernels if not hasattr(torch, name)]
    assert not gone, (
        f"torch {torch.__version__} has no {' and no '.join(gone)}, which numerics/optim.py"
        " calls: lower the bound of torch in pyproject.toml, or call what has replaced them"
    )


def test_training_does_not_import_the_compiler():
    code = (
        "import sys, torch; from patchvae.numerics.optim import SGD; from torch import nn\n"
        "layer = nn.Linear(2, 2); loss = layer(torch.ones(1, 2)).sum()\n"
        "gradients = torch.autograd.grad(loss, list(layer.parameters()))\n"
        "SGD(layer.parameters(), 0.1, 0.9).step(gradients)\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("kernel", ["_fused_adam_", "_fused_sgd_", "_foreach_add_"])
def test_pytorchs_private_kernels_are_there(kernel: str) -> None:
    """They may go with any release: raise the bound on torch in pyproject.toml only with this."""
    assert hasattr(torch, kernel), f"torch {torch.__version__} has no {kernel}: numerics/optim.py"
