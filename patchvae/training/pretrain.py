"""The only unsupervised loop: Adam over the phases of a model (paper, section 4)."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import torch
import yaml
from torch import Tensor

from patchvae.data.store import Prepared, open_dataset
from patchvae.data.tensors import Images, epoch_order, load_images
from patchvae.errors import ConfigError
from patchvae.models import build
from patchvae.models.base import Phase, Terms, Unsupervised
from patchvae.models.schedules import step_lr
from patchvae.numerics import parallel
from patchvae.numerics.batchnorm import synchronise
from patchvae.numerics.memory import keep_freed_memory
from patchvae.numerics.optim import Adam, Optimizer
from patchvae.numerics.precision import Step, autocast, fastest, finish, set_numerics
from patchvae.numerics.seeds import derive_seed
from patchvae.runtime.checkpoint import StateStore, save_tensors, save_weights
from patchvae.runtime.launch import rank
from patchvae.runtime.machine import Options, now, pick_device, provenance
from patchvae.runtime.results import write_result, write_text
from patchvae.study import paths
from patchvae.study.config import about
from patchvae.study.digests import digest_of
from patchvae.study.runs import PretrainConfig, PretrainSettings
from patchvae.study.sources import pretrain_source
from patchvae.training.loop import Loop, Row, write_history

LOOKED_AT = 500  # images at a time where no step is taken


def pretrain(config: PretrainConfig, options: Options) -> dict[str, Any]:
    """Train one run and write its files; returns the content of its metrics.json.

    Raises DivergedError, DataError, StoppedError (state saved, run again) and leaves no result
    then.
    """
    started, clock = now(), time.monotonic()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    if config.pretrain is not None:
        set_numerics(config.pretrain.precision, options.deterministic)
    device = pick_device(options.device)
    data = open_dataset(config.data.dataset, options.data)
    torch.manual_seed(derive_seed(config.run.seed, "init"))
    model = build(config).to(device).to(memory_format=torch.channels_last)
    source = pretrain_source(config.run.model)
    key = digest_of([config.digest, data.digest, source])
    store = StateStore(paths.state(config.run.name, "pretrain", key))
    facts: dict[str, Any] = {}
    history: list[Row] = []
    kept: Terms = {}
    if config.pretrain is not None:
        with about(config.run.study_file):
            images = _images(config, config.pretrain.batch_size, data, device)
            parallel.check_batch(config.pretrain.batch_size)
            snapshot_epochs(config.pretrain)
        loop = _train(config, config.pretrain, model, images, store, options)
        history, kept = loop.history, loop.kept
        facts = {"images": len(images), "last_epoch": history[-1]}
    else:
        with about(config.run.study_file):
            model.look(pretraining_batches(config, data, device))
    document = {
        "run": config.run.name,
        "config_digest": config.digest,
        "data_digest": data.digest,
        "source_digest": source,
        **facts,
        "wall_seconds": round(time.monotonic() - clock, 2),
        "provenance": provenance(started, options),
    }
    options.stop.defer()
    if rank() > 0:
        return document
    metrics = _write(config, model, history, kept, document)
    store.clear()
    return metrics


def _images(
    config: PretrainConfig, batch_size: int, data: Prepared, device: torch.device
) -> Images:
    """Every image that is not a test image (reading A16)."""
    splits = ("train", "unlabelled") if config.data.unlabelled else ("train",)
    images = load_images(data, splits, config.data.train, device, config.data.inputs)
    if len(images) < batch_size:
        raise ConfigError(
            f"{config.run.name}: {len(images)} images make no batch of {batch_size}:"
            " lower pretrain.batch_size"
        )
    return images


def pretraining_batches(
    config: PretrainConfig, data: Prepared, device: torch.device
) -> Callable[[], Iterator[Tensor]]:
    """Each call goes through all pretraining images, unmirrored and in order, (B, 3, H, W)."""
    load = cache(lambda: _images(config, 1, data, device))

    def batches() -> Iterator[Tensor]:
        images = load()
        for index in torch.arange(len(images), device=images.index_device).split(LOOKED_AT):
            yield images.batch(index)

    return batches


def snapshot_epochs(settings: PretrainSettings) -> tuple[int, ...]:
    """After how many epochs weights are kept: evenly spaced, before the last.

    ConfigError if too few.
    """
    epochs, count = settings.epochs, settings.snapshots
    if count >= epochs:
        raise ConfigError(
            f"pretrain.snapshots: {count} do not fit before the last of {epochs} epochs: lower it"
        )
    return tuple(round(k * epochs / (count + 1)) for k in range(1, count + 1))


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


def _train(
    config: PretrainConfig,
    settings: PretrainSettings,
    model: Unsupervised,
    images: Images,
    store: StateStore,
    options: Options,
) -> Loop:
    seed, B, device = config.run.seed, settings.batch_size, images.pixels.device
    keep = snapshot_epochs(settings)
    synchronise(model)
    phases = model.phases()
    optimizers = [_optimizer(phase, settings) for phase in phases]
    torch.manual_seed(derive_seed(seed, "noise"))
    model.train()

    def one(x: Tensor) -> tuple[Tensor, Terms]:
        return update(phases, optimizers, x, settings.precision)

    take: Step | None = None
    size = (settings.epochs, len(images) // B)
    loop = Loop(config.run.name, model, optimizers, size, store, options.stop, options.save_every)
    loop.resume()
    for epoch in loop.epochs():
        begun, first = time.monotonic(), loop.step
        lr = step_lr(epoch, settings.lr, settings.lr_step, settings.lr_factor)
        if take is None or lr != optimizers[0].lr:  # a captured step has its learning rate in it
            for optimizer in optimizers:
                optimizer.lr = lr
            take = fastest(one, device, options)
        order, flip = epoch_order(
            len(images), settings.flip, images.index_device, seed, "pretrain", epoch
        )
        for step in loop.steps():
            index = parallel.share(order[step * B : (step + 1) * B])
            model.at_step(loop.done)
            x = images.batch(index, None if flip is None else flip[index])
            loop.record(*take(x))
        finish(device)
        seconds = time.monotonic() - begun
        if epoch + 1 in keep:
            loop.kept |= _snapshot(model, epoch + 1)
        loop.end_epoch({"images_per_second": round((loop.n_steps - first) * B / seconds, 1)})
    return loop


def _snapshot(model: Unsupervised, epoch: int) -> dict[str, Tensor]:
    return {f"epoch{epoch}/{name}": t.cpu().clone() for name, t in model.state_dict().items()}


def _write(
    config: PretrainConfig,
    model: Unsupervised,
    history: list[Row],
    kept: Terms,
    document: dict[str, Any],
) -> dict[str, Any]:
    folder = config.run.pretrain
    metadata = {"run": config.run.name, "config_digest": config.digest}
    save_weights(folder / paths.ENCODER, model.trunk, metadata)
    save_weights(folder / paths.MODEL, model, metadata)
    save_tensors(folder / paths.SNAPSHOTS, kept, metadata)
    write_text(folder / paths.RESOLVED, yaml.safe_dump(config.as_dict(), sort_keys=False))
    write_history(folder / paths.HISTORY, history)
    beside = tuple(name for name in paths.PRETRAIN_FILES if name != paths.METRICS)
    return write_result(folder / paths.METRICS, "pretrain", document, files=beside)
