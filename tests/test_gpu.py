"""What only a GPU can show: graphs against single launches, no waiting, determinism."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from makers import MAKERS, images, make_parts
from torch import Tensor

from patchvae.models.base import Unsupervised
from patchvae.numerics.optim import Adam
from patchvae.numerics.precision import Captured, set_numerics
from patchvae.runtime.checkpoint import StateStore
from patchvae.runtime.stop import StopRequest
from patchvae.training.loop import Loop, Saving
from patchvae.training.phases import update

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU")
B, STEPS = 16, 8


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    set_numerics("fp32", deterministic=True)
    yield
    set_numerics("fp32", deterministic=False)


def train(name: str, folder: Path, captured: bool) -> tuple[Loop, Unsupervised]:
    """One epoch in which any reading from the GPU raises; the temperature falls step by step."""
    torch.manual_seed(0)
    model = MAKERS[name]().cuda().to(memory_format=torch.channels_last).train()
    phases = model.phases()
    optimizers = [Adam(phase.parameters, 1e-3, (0.9, 0.999)) for phase in phases]

    def one(x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return update(phases, optimizers, x)

    take: Any = Captured(one) if captured else one
    batches = images(B * STEPS).cuda().split(B)
    saving = Saving(StateStore(folder), StopRequest(), 1e9)
    loop = Loop(name, model, optimizers, epochs=1, steps=STEPS, saving=saving)
    for _ in loop.epochs():
        for step in loop.steps():
            model.at_step(1000 * step)
            # a capture synchronises once; every other step must not
            torch.cuda.set_sync_debug_mode("default" if captured and step < 4 else "error")
            loop.record(*take(batches[step]))
        torch.cuda.set_sync_debug_mode("default")
        loop.end_epoch({})
    assert not captured or take.replay is not None, "nothing was captured"
    return loop, model


@pytest.mark.parametrize("name", MAKERS)
def test_a_graph_gives_the_bytes_of_single_launches(name: str, tmp_path: Path) -> None:
    plain, expected = train(name, tmp_path / "plain", captured=False)
    replayed, found = train(name, tmp_path / "graph", captured=True)
    assert replayed.history == plain.history
    state = found.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in expected.state_dict().items())


def test_a_gpu_comes_close_to_a_cpu(tmp_path: Path) -> None:
    """One step without noise: evaluation mode, where means replace samples."""
    torch.manual_seed(0)
    model, x = make_parts().eval(), images(B)
    with torch.no_grad():
        expected = model(x)
        found = model.cuda()(x.cuda())
    torch.testing.assert_close(found[0].cpu(), expected[0], rtol=1e-3, atol=1e-4)
    for name, value in expected[1].items():
        torch.testing.assert_close(found[1][name].cpu(), value, rtol=1e-3, atol=1e-4)
