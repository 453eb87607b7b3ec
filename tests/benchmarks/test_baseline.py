"""The baseline computes what the suite computes, so that comparing their speed means something."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from baseline import Pictures, Pretraining, Probing, batches
from common import example, random_pixels
from makers import images

from patchvae.data.tensors import Images
from patchvae.models import build
from patchvae.models.classifier import Classifier
from patchvae.models.head import Head
from patchvae.models.trunk import Trunk
from patchvae.numerics.optim import SGD, Adam
from patchvae.training.phases import update

STEPS = 3


def draw_in_index_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same noise for both memory layouts; torch fills a tensor in the order of its memory."""
    for name, draw in (("rand_like", torch.rand), ("randn_like", torch.randn)):
        monkeypatch.setattr(torch, name, lambda x, draw=draw: draw(x.shape, dtype=x.dtype))


@pytest.mark.parametrize("name", ["beta-vae-lw", "patchvae", "patchvae-gan", "bigan"])
def test_pretraining_takes_the_same_steps(
    name: str, in_repo: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In double precision, where Adam does not blow rounding errors up to its learning rate."""
    draw_in_index_order(monkeypatch)
    ours, plain = (build(example(name)).double() for _ in range(2))
    plain.load_state_dict(ours.state_dict())
    x = images(B=8).double()
    training = Pretraining(plain, 1e-3)
    torch.manual_seed(1)
    logs = [training.step(x) for _ in range(STEPS)]

    ours = ours.to(memory_format=torch.channels_last).train()
    phases = ours.phases()
    optimizers = [Adam(phase.parameters, 1e-3, (0.9, 0.999)) for phase in phases]
    torch.manual_seed(1)
    for step, log in enumerate(logs):
        ours.at_step(step)
        loss, terms = update(phases, optimizers, x.contiguous(memory_format=torch.channels_last))
        losses = [log[f"{phase.name} loss"] for phase in phases]
        assert sum(losses) == pytest.approx(loss.item(), rel=1e-9)
        for term, value in terms.items():
            assert log[term] == pytest.approx(value.item(), rel=1e-9), term
    updated = plain.state_dict()
    for key, value in ours.state_dict().items():
        torch.testing.assert_close(updated[key], value, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("frozen", ["conv1", "conv3", "conv5"])
def test_probing_takes_the_same_steps(frozen: str) -> None:
    trunk, labels = Trunk().double(), torch.arange(8)
    ours = Classifier(trunk, frozen, 32, 10, hidden=16).double()
    copy, head = Trunk().double(), Head(128 * 16, 10, 16).double()
    copy.load_state_dict(trunk.state_dict())
    head.load_state_dict(ours.head.state_dict())
    plain = Probing(copy, frozen, head, 0.1)
    optimizer = SGD([p for p in ours.parameters() if p.requires_grad], 0.1, 0.9)

    x = images(B=8).double()
    ours.eval()
    with torch.no_grad():
        features = ours.prefix(x)
    ours.train()
    plain.begin_epoch()
    for _ in range(STEPS):
        loss = F.cross_entropy(ours(features), labels)
        optimizer.step(torch.autograd.grad(loss, optimizer.parameters))
        assert plain.step(x, labels) == pytest.approx(loss.item(), rel=1e-9)
    ours.eval()
    plain.network.eval()
    with torch.no_grad():
        logits = ours(ours.prefix(x))
        torch.testing.assert_close(plain.network(x), logits, rtol=1e-7, atol=1e-9)
    top = logits.topk(5).indices == labels[:, None]
    assert plain.right(x, labels) == (int(top[:, 0].sum()), int(top.any(1).sum()))


@pytest.mark.parametrize("workers", [0, 1])
def test_the_loader_gives_the_same_images(workers: int) -> None:
    """Every image once an epoch, scaled as ours, about half of them mirrored."""
    pixels = random_pixels(40)
    pictures = Pictures(pixels.numpy(), np.arange(40), flip=True)
    expected = Images(pixels).batch(torch.arange(40))
    loader = batches(pictures, 8, workers)
    torch.manual_seed(0)
    taken = [next(loader) for _ in range(5)]
    x, order = torch.cat([x for x, _ in taken]), torch.cat([k for _, k in taken])
    assert sorted(order.tolist()) == list(range(40))
    mirrored = torch.tensor(
        [not torch.allclose(a, expected[k]) for a, k in zip(x, order, strict=True)]
    )
    assert 5 < mirrored.sum() < 35
    x[mirrored] = x[mirrored].flip(3)
    torch.testing.assert_close(x, expected[order], rtol=0, atol=1e-6)
