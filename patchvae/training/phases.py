"""The only unsupervised loop: Adam over the phases of a model (paper, section 4)."""

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from patchvae.data.tensors import Images, epoch_order
from patchvae.errors import ConfigError
from patchvae.models.base import Phase, Terms, Unsupervised
from patchvae.models.schedules import step_lr
from patchvae.numerics import parallel
from patchvae.numerics.batchnorm import synchronise
from patchvae.numerics.optim import Adam, Optimizer
from patchvae.numerics.precision import Step, autocast, fastest, finish
from patchvae.numerics.seeds import derive_seed
from patchvae.runtime.watch import Watch
from patchvae.study.runs import PretrainConfig, PretrainSettings
from patchvae.training.job import Job
from patchvae.training.loop import Loop


def snapshot_steps(settings: PretrainSettings, images: int) -> tuple[int, ...]:
    """After which steps weights are kept: evenly spaced, before the last; or ConfigError."""
    count, steps = settings.snapshots, settings.epochs * (images // settings.batch_size)
    if count >= steps:
        raise ConfigError(
            f"pretrain.snapshots: {count} do not fit before the last of {steps} steps: lower it"
        )
    return tuple(round(k * steps / (count + 1)) for k in range(1, count + 1))


def _optimizer(phase: Phase, settings: PretrainSettings) -> Adam:
    betas = (settings.adam_beta1, settings.adam_beta2)
    return Adam(phase.parameters, settings.lr, betas, settings.weight_decay)


def update(
    phases: list[Phase], optimizers: Sequence[Optimizer], x: Tensor, precision: str = "fp32"
) -> tuple[Tensor, Terms]:
    """One step: every phase in order on the same batch; returns the sum of losses and all terms.

    Gradients are taken for a phase's own parameters only, so no phase leaves any in another's. With
    several ranks `x` is this one's share; gradients, losses and terms are means over all of them.
    """
    losses: list[Tensor] = []
    record: Terms = {}
    for phase, optimizer in zip(phases, optimizers, strict=True):
        with autocast(precision, x.device):
            loss, terms = phase.loss(x)
        optimizer.step(parallel.mean(torch.autograd.grad(loss, phase.parameters)))
        losses.append(loss.detach())
        record |= terms
    total, *means = parallel.mean([torch.stack(losses).sum(), *record.values()])
    return total, dict(zip(record, means, strict=True))


def train_phases(
    config: PretrainConfig,
    settings: PretrainSettings,
    model: Unsupervised,
    images: Images,
    job: Job,
) -> Loop:
    """Train a model on images; the loop keeps the weights after `snapshot_steps`."""
    B, device = settings.batch_size, images.pixels.device
    keep = snapshot_steps(settings, len(images))
    synchronise(model)
    phases = model.phases()
    optimizers = [_optimizer(phase, settings) for phase in phases]
    torch.manual_seed(derive_seed(config.run.seed, "noise"))
    model.train()

    def one(x: Tensor) -> tuple[Tensor, Terms]:
        return update(phases, optimizers, x, settings.precision)

    take: Step | None = None
    loop = Loop(
        config.run.name,
        model,
        optimizers,
        epochs=settings.epochs,
        steps=len(images) // B,
        saving=job.saving,
    )
    loop.resume()
    watch = Watch(config)
    for epoch in loop.epochs():
        begun, first = time.monotonic(), loop.step
        lr = step_lr(epoch, settings.lr, settings.lr_step, settings.lr_factor)
        if take is None or lr != optimizers[0].lr:  # a captured step has its learning rate in it
            for optimizer in optimizers:
                optimizer.lr = lr
            take = fastest(one, device, job.options)
        batch = _batches(images, settings, config.run.seed, epoch)
        for step in loop.steps():
            model.at_step(loop.done)
            loop.record(*take(batch(step)))
            if loop.done + 1 in keep:
                loop.kept |= _snapshot(model, loop.done + 1)
        finish(device)
        seconds = time.monotonic() - begun
        loop.end_epoch({"images_per_second": round((loop.n_steps - first) * B / seconds, 1)})
        watch.look(loop.history)
    return loop


def _batches(
    images: Images, settings: PretrainSettings, seed: int, epoch: int
) -> Callable[[int], Tensor]:
    """This rank's images (B, 3, H, W) of a step of an epoch, in its order, mirrored as it says."""
    B = settings.batch_size
    order, flip = epoch_order(
        len(images), settings.flip, images.index_device, seed, "pretrain", epoch
    )

    def batch(step: int) -> Tensor:
        index = parallel.share(order[step * B : (step + 1) * B])
        return images.batch(index, None if flip is None else flip[index])

    return batch


def _snapshot(model: Unsupervised, step: int) -> dict[str, Tensor]:
    return {f"step{step}/{name}": t.cpu().clone() for name, t in model.state_dict().items()}
