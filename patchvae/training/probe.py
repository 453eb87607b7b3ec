"""Classification with the first stages of a pretrained trunk frozen (paper, sections 4 and 4.1).

What the frozen stages make of images is computed once (`features`); the rest is trained on it.
"""

import io
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from patchvae.data.store import Prepared, open_dataset
from patchvae.data.tensors import epoch_order
from patchvae.errors import CheckpointError, ConfigError
from patchvae.models.classifier import Classifier
from patchvae.models.schedules import step_lr
from patchvae.models.trunk import Trunk
from patchvae.numerics import parallel
from patchvae.numerics.batchnorm import synchronise
from patchvae.numerics.memory import keep_freed_memory
from patchvae.numerics.optim import SGD
from patchvae.numerics.precision import Step, fastest, set_numerics
from patchvae.numerics.seeds import derive_seed
from patchvae.runtime.checkpoint import StateStore, load_weights
from patchvae.runtime.launch import rank
from patchvae.runtime.machine import Options, now, pick_device, provenance
from patchvae.runtime.results import read_result, write_bytes, write_result, write_text
from patchvae.study import paths
from patchvae.study.config import about
from patchvae.study.digests import digest_of
from patchvae.study.runs import ProbeConfig, ProbeSettings
from patchvae.study.sources import probe_source
from patchvae.training.features import Split, eval_batch, features_of, images_of
from patchvae.training.loop import Loop, Row, write_history
from patchvae.training.scores import PREDICTED, accuracies, evaluate
from patchvae.training.standardise import Standardised, moments

NETWORK = ("hidden", "precision", "dropout", "init", "frozen_bn", "affine")  # settings of it


def _split(config: ProbeConfig, data: Prepared, name: str, classifier: Classifier) -> Split:
    settings = config.training
    images, labels = images_of(config, data, name, next(classifier.parameters()).device)
    if name == "train" and len(images) < settings.batch_size:
        raise ConfigError(
            f"{config.run.name}: {len(images)} images make no batch of {settings.batch_size}:"
            " lower probe.batch_size"
        )
    flip = settings.flip and name == "train"
    return Split(features_of(images, classifier, flip), labels)


def load_trunk(config: ProbeConfig) -> tuple[Trunk, dict[str, Any]]:
    """The run's trunk and its metrics; CheckpointError when they are not this configuration's."""
    path = config.run.pretrain / paths.METRICS
    metrics = read_result(path, "pretrain")
    if metrics["config_digest"] != config.encoder.digest:
        raise CheckpointError(
            f"{path} was made with another configuration: run its job again (snakemake does)"
        )
    trunk = Trunk(str(config.encoder.model["trunk"]))
    trunk.load_state_dict(load_weights(config.run.pretrain / paths.ENCODER))
    return trunk, metrics


@dataclass(frozen=True)
class Begun:
    """What every probe begins with: its encoder, the images that this was pretrained on, the clock."""

    config: ProbeConfig
    options: Options
    device: torch.device
    trunk: Trunk
    encoder: dict[str, Any]
    data: Prepared
    source: str
    started: str
    clock: float


def begin(config: ProbeConfig, options: Options) -> Begun:
    """Set the process up and open encoder and images; CheckpointError when they do not belong together."""
    started, clock = now(), time.monotonic()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    set_numerics(config.probe.precision, options.deterministic)
    device = pick_device(options.device)
    trunk, encoder = load_trunk(config)
    data = open_dataset(config.encoder.data.dataset, options.data)
    if data.digest != encoder["data_digest"]:
        raise CheckpointError(
            f"{config.run.name} was pretrained on other images than the dataset now prepared:"
            " run its pretraining again"
        )
    source = probe_source(config.name)
    return Begun(config, options, device, trunk, encoder, data, source, started, clock)


def probe(config: ProbeConfig, options: Options) -> dict[str, Any]:
    """Train one classifier and write its files; returns the content of its metrics.json.

    The result is the last epoch's accuracy (reading A12); the best epoch's is recorded by that name.
    With `report: best` it is the result, chosen on the test images.
    """
    begun = begin(config, options)
    torch.manual_seed(derive_seed(config.run.seed, "probe", "init"))
    facts, settings = config.encoder.data, config.training
    network = {name: getattr(settings, name) for name in NETWORK}
    classifier = Classifier(begun.trunk, config.frozen, facts.size, facts.classes, **network)
    classifier = classifier.to(begun.device).to(memory_format=torch.channels_last).eval()
    key = digest_of([config.digest, begun.encoder["digest"], begun.source])
    store = StateStore(paths.state(config.run.name, config.name, key))
    with about(config.run.study_file):
        train = _split(config, begun.data, "train", classifier)
        test = _split(config, begun.data, "test", classifier)
        parallel.check_batch(settings.batch_size)
    if config.standardised:
        at_once = eval_batch(classifier, begun.device)
        scale = moments(train.features, len(train.labels), settings.flip, at_once)
        train, test = (replace(s, features=Standardised(s.features, *scale)) for s in (train, test))
    loop = _train(config, classifier, train, test, store, options)
    kept = {name: tensor.numpy() for name, tensor in loop.kept.items()}
    result = accuracies(**kept) if kept else evaluate(classifier, test)
    best = max(loop.history, key=lambda row: row["top1"])
    metrics = finish(begun, result, loop.history, best_epoch=best)
    if rank() == 0:
        store.clear()
    return metrics


def _optimizer(classifier: Classifier, settings: ProbeSettings) -> SGD:
    trained = [p for p in classifier.parameters() if p.requires_grad]
    return SGD(trained, settings.lr, settings.momentum, settings.weight_decay)


def _train(
    config: ProbeConfig,
    classifier: Classifier,
    train: Split,
    test: Split,
    store: StateStore,
    options: Options,
) -> Loop:
    settings, seed = config.training, config.run.seed
    B, n, device = settings.batch_size, len(train.labels), train.labels.device
    synchronise(classifier)
    optimizer = _optimizer(classifier, settings)
    title = f"{config.run.name}/{config.name}"

    def one(h: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        loss = F.cross_entropy(classifier(h), labels)
        optimizer.step(parallel.mean(torch.autograd.grad(loss, optimizer.parameters)))
        (loss,) = parallel.mean([loss.detach()])
        return loss, {"loss": loss}

    size = (settings.epochs, n // B)
    loop = Loop(title, classifier, [optimizer], size, store, options.stop, options.save_every)
    loop.resume()
    take: Step | None = None
    for epoch in loop.epochs():
        lr = step_lr(epoch, settings.lr, settings.lr_step, settings.lr_factor)
        if take is None or lr != optimizer.lr:  # a captured step has its learning rate in it
            optimizer.lr, take = lr, fastest(one, device, options)
        order, flip = epoch_order(
            n, settings.flip, train.features.index_device, seed, "probe", config.name, epoch
        )
        classifier.train()
        for step in loop.steps():
            index = parallel.share(order[step * B : (step + 1) * B])
            h = train.features.batch(index, None if flip is None else flip[index])
            loop.record(*take(h, train.labels[index.to(device, non_blocking=True)]))
        scores = evaluate(classifier, test)
        if settings.report == "best" and all(scores["top1"] > row["top1"] for row in loop.history):
            loop.kept = {name: torch.from_numpy(scores[name]) for name in PREDICTED}
        loop.end_epoch({"lr": optimizer.lr, "top1": scores["top1"], "top5": scores["top5"]})
    return loop


def finish(
    begun: Begun, result: dict[str, Any], history: list[Row], **facts: Any
) -> dict[str, Any]:
    """Write a probe's files from what is `scored`; returns the content of its metrics.json.

    Only the first of several processes writes; the others return what they would have written.
    """
    config = begun.config
    document = {
        "run": config.run.name,
        "probe": config.name,
        "config_digest": config.digest,
        "data_digest": begun.data.digest,
        "source_digest": begun.source,
        "encoder": begun.encoder["files"][paths.ENCODER],
        "n_test": len(result["correct1"]),
        "top1": result["top1"],
        "top5": result["top5"],
        **facts,
        "wall_seconds": round(time.monotonic() - begun.clock, 2),
        "provenance": provenance(begun.started, begun.options),
    }
    return document if rank() > 0 else _write(config, history, result, document)


def _write(
    config: ProbeConfig, history: list[Row], result: dict[str, Any], document: dict[str, Any]
) -> dict[str, Any]:
    folder: Path = config.folder
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: result[name] for name in PREDICTED})
    write_bytes(folder / paths.PREDICTIONS, buffer.getvalue())
    write_text(folder / paths.RESOLVED, yaml.safe_dump(config.as_dict(), sort_keys=False))
    write_history(folder / paths.HISTORY, history)
    beside = tuple(name for name in paths.PROBE_FILES if name != paths.METRICS)
    return write_result(folder / paths.METRICS, "probe", document, files=beside)
