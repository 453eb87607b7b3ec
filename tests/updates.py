"""A few updates in double precision, alone or under torchrun; the first rank saves the outcome.

python updates.py FILE      torchrun --nproc-per-node 2 updates.py FILE
"""

import sys
from pathlib import Path

import torch
from makers import MAKERS, images
from torch import Tensor, nn

from patchvae.models.base import Unsupervised
from patchvae.numerics import parallel
from patchvae.numerics.batchnorm import synchronise
from patchvae.numerics.optim import Adam
from patchvae.runtime.launch import rank
from patchvae.training.phases import update

B, STEPS = 8, 4


def train(model: Unsupervised) -> dict[str, Tensor]:
    """Weights, running statistics and terms after some steps of Adam."""
    synchronise(model)
    phases = model.phases()
    optimizers = [Adam(phase.parameters, 1e-3, (0.9, 0.999)) for phase in phases]
    torch.manual_seed(1)
    found: dict[str, Tensor] = {}
    for step in range(STEPS):
        model.at_step(step)
        x = images(B * STEPS).double()[step * B : (step + 1) * B]
        x = x.contiguous(memory_format=torch.channels_last)
        loss, terms = update(phases, optimizers, parallel.share(x))
        found |= {
            f"{step}.{name}": term.detach() for name, term in ({"loss": loss} | terms).items()
        }
    return found | nn.Module.state_dict(model)


def outcomes() -> dict[str, dict[str, Tensor]]:
    found = {}
    for name, make in MAKERS.items():
        torch.manual_seed(0)
        found[name] = train(make().double().to(memory_format=torch.channels_last))
    return found


def main(path: Path) -> None:
    with parallel.joined("cpu"):
        found = outcomes()
        if rank() == 0:
            torch.save(found, path)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
