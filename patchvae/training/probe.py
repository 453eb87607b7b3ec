"""Classification with the first stages of a pretrained trunk frozen (paper, sections 4 and 4.1).

The frozen stages run in eval mode, so what they compute is a constant of the image: it is computed
once, both mirror images where the protocol mirrors, and only the rest is trained on it.
"""

import io
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn

from patchvae.data.rowfile import RowFile, disk_room
from patchvae.data.store import Prepared, open_dataset
from patchvae.data.tensors import Images, epoch_order, load_images, room
from patchvae.errors import CheckpointError, ConfigError
from patchvae.models.head import Head
from patchvae.models.schedules import step_lr
from patchvae.models.trunk import Trunk
from patchvae.numerics import parallel
from patchvae.numerics.batchnorm import synchronise
from patchvae.numerics.memory import keep_freed_memory
from patchvae.numerics.optim import SGD
from patchvae.numerics.precision import Step, autocast, fastest, set_numerics, widen
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
from patchvae.training.loop import Loop, Row, write_history
from patchvae.training.standardise import Features, Standardised, moments

EVAL_BATCH = 512  # images at a time outside training, on a CPU
GPU_EVAL_BATCH = 4096  # of 32 x 32 pixels on a GPU, as many pixels of other sizes
NETWORK = ("hidden", "precision", "dropout", "init", "frozen_bn", "affine")  # settings of it
PREDICTED = ("predicted", "correct1", "correct5")  # of every test image
CACHE_BYTES = 64 << 30  # features beyond this are computed afresh for each batch


class Frozen(nn.Module):
    """The trunk with stages up to `frozen` fixed; what they make of images are the features."""

    def __init__(
        self,
        trunk: Trunk,
        frozen: str | None,
        size: int,
        *,
        precision: str = "fp32",
        frozen_bn: str = "eval",
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.frozen, self.rest = trunk.split(frozen)
        self.size, self.precision = size, precision
        self.constant = bool(self.frozen) and frozen_bn == "eval"
        for stage in self.frozen:
            for module in trunk.stage(stage):
                module.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Frozen stages whose features are constants of the image stay in eval mode.

        With `frozen_bn: train` (reading A13) their statistics are each batch's, as the release has
        it.
        """
        super().train(mode)
        if self.constant:
            for stage in self.frozen:
                for module in self.trunk.stage(stage):
                    module.eval()
        return self

    def prefix(self, x: Tensor) -> Tensor:
        """Images to what the frozen stages make of them."""
        with autocast(self.precision, x.device):
            return widen(self.trunk.through(x, self.frozen))


class Classifier(Frozen):
    """The frozen stages, the rest of the trunk and the two fully-connected layers of Table 10.

    The settings are those of the protocol's section `probe` that shape the network; their defaults
    are the protocol's.
    """

    def __init__(
        self,
        trunk: Trunk,
        frozen: str | None,
        size: int,
        classes: int,
        *,
        hidden: int = 512,
        precision: str = "fp32",
        dropout: float = 0.0,
        init: str = "pytorch",
        frozen_bn: str = "eval",
        affine: str = "trained",
    ) -> None:
        super().__init__(trunk, frozen, size, precision=precision, frozen_bn=frozen_bn)
        side = size // trunk.stride
        self.classes = classes
        self.head = Head(trunk.channels * side * side, classes, hidden, dropout, init)
        if affine == "frozen":
            for module in trunk.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.requires_grad_(False)

    def forward(self, h: Tensor) -> Tensor:
        """What the frozen stages made of images, to logits (B, classes)."""
        with autocast(self.precision, h.device):
            return widen(self.head(self.trunk.through(h, self.rest)))


def eval_batch(network: Frozen, device: torch.device) -> int:
    """How many images are classified, or their features cached, at a time."""
    if device.type == "cpu":
        return EVAL_BATCH
    return max(EVAL_BATCH, GPU_EVAL_BATCH * 32**2 // network.size**2)


@dataclass(frozen=True)
class Live:
    """Features computed for each batch: the plain way, for sets whose features fit nowhere."""

    images: Images
    network: Frozen

    @property
    def index_device(self) -> torch.device:
        """Where the indices of a batch should lie, as for `Images`."""
        return self.images.index_device

    @torch.no_grad()
    def batch(self, index: Tensor, flip: Tensor | None = None) -> Tensor:
        return self.network.prefix(self.images.batch(index, flip))


@dataclass(frozen=True)
class Cached:
    """Features computed once: n plain images, then n mirrored ones where the protocol mirrors."""

    features: Tensor | RowFile
    n: int

    @property
    def index_device(self) -> torch.device:
        """Where the indices of a batch should lie.

        By features on disk the CPU, which must not wait for a GPU.
        """
        on_disk = isinstance(self.features, RowFile)
        return torch.device("cpu") if on_disk else self.features.device

    def batch(self, index: Tensor, flip: Tensor | None = None) -> Tensor:
        return self.features[index if flip is None else index + flip * self.n]


@torch.no_grad()
def cache(live: Live, flip: bool, memory: int | None = None) -> Cached:
    """All features of a split in the order of its images, in memory or, beyond `memory` bytes, on
    disk.
    """
    n, device = len(live.images), live.images.pixels.device
    sample = live.batch(torch.arange(1, device=live.index_device))
    # convolutions follow, or else the head, which flattens in the order of channels
    channels_last = bool(live.network.rest)
    shape = torch.Size([n * (2 if flip else 1), *sample.shape[1:]])
    index = torch.arange(shape[0], device=live.index_device).split(eval_batch(live.network, device))
    if 4 * shape.numel() > (room(device) if memory is None else memory):
        stored = RowFile(shape[1:], channels_last, device)
        for rows in index:
            stored.append(live.batch(rows % n, rows >= n))
        return Cached(stored, n)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    features = torch.empty(shape, device=device, memory_format=layout)
    for rows in index:
        features[rows.to(device)] = live.batch(rows % n, rows >= n)
    return Cached(features, n)


def features_of(images: Images, network: Frozen, flip: bool) -> Live | Cached:
    """Cached features where something is frozen and memory or disk holds them, else live ones."""
    live = Live(images, network)
    if not network.constant:
        return live
    one = live.batch(torch.arange(1, device=live.index_device)).numel()
    needed = 4 * one * len(images) * (2 if flip else 1)
    limit = min(CACHE_BYTES, max(disk_room(), room(images.pixels.device)))
    return cache(live, flip) if needed <= limit else live


@dataclass(frozen=True)
class Split:
    """Features of a split and its labels, int64 (n,)."""

    features: Features
    labels: Tensor


def images_of(
    config: ProbeConfig, data: Prepared, name: str, device: torch.device
) -> tuple[Images, Tensor]:
    """The images of a split that the study uses, as the encoder takes them, and their labels."""
    facts = config.encoder.data
    limit = facts.train if name == "train" else facts.test
    images = load_images(data, (name,), limit, device, facts.inputs)
    assert images.labels is not None
    return images, images.labels


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


@torch.no_grad()
def evaluate(classifier: Classifier, split: Split) -> dict[str, Any]:
    """What is `scored` of a classifier on a split."""
    classifier.eval()
    labels, k = split.labels, min(5, classifier.classes)
    at_once = eval_batch(classifier, labels.device)
    top = torch.zeros(len(labels), k, dtype=torch.int64, device=labels.device)
    for start in parallel.mine(range(0, len(labels), at_once)):
        stop = min(start + at_once, len(labels))
        index = torch.arange(start, stop, device=split.features.index_device)
        top[start:stop] = classifier(split.features.batch(index)).topk(k, dim=1).indices
    return scored(parallel.total(top), labels)


def scored(top: Tensor, labels: Tensor) -> dict[str, Any]:
    """The predicted classes, both kinds of correctness, and the accuracies in percent.

    `top` int64 (n, at most 5), the likeliest class first; `labels` int64 (n,).
    """
    hits = top == labels[:, None]
    return _scored(
        predicted=top[:, 0].cpu().numpy().astype(np.int16),
        correct1=hits[:, 0].cpu().numpy(),
        correct5=hits.any(1).cpu().numpy(),
    )


def _scored(**predictions: np.ndarray) -> dict[str, Any]:
    """Predictions with the accuracies that follow from them."""
    scores = {f"top{k}": round(100 * float(predictions[f"correct{k}"].mean()), 6) for k in (1, 5)}
    return predictions | scores


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
    """What every probe begins with.

    Its encoder, the images that this was pretrained on, the clock.
    """

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
    """Set the process up and open encoder and images.

    CheckpointError when they do not belong together.
    """
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

    The result is the last epoch's accuracy (reading A12); the best epoch's is recorded by that
    name. With `report: best` it is the result, chosen on the test images.
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
    result = _scored(**kept) if kept else evaluate(classifier, test)
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
