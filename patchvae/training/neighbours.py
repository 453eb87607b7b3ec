"""The k nearest training images vote: the probe `knn`, in which nothing is trained.

Not of the paper.

Nearness is the Euclidean distance between the features of whole images, plain ones, not mirrored.
It is taken to every training image, in float64; of two that are equally near, the first in the
prepared set counts as the nearer.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from patchvae.errors import ConfigError
from patchvae.models.classifier import Frozen
from patchvae.numerics import parallel
from patchvae.runtime.machine import Options
from patchvae.runtime.progress import Progress
from patchvae.runtime.stage import title_of
from patchvae.study.runs import NeighbourSettings, ProbeConfig
from patchvae.study.yaml_files import about
from patchvae.training.features import (
    Live,
    Split,
    eval_batch,
    features_of,
    images_of,
    load_trunk,
)
from patchvae.training.job import Job, Made, run_job
from patchvae.training.scores import probed, scored


def probe(config: ProbeConfig, options: Options) -> dict[str, Any]:
    """Classify the test images and write the probe's files.

    Returns the content of its metrics.json.

    The history is empty. ConfigError with fewer training images than neighbours. A signal ends the
    job at any time: there is no state to save.
    """
    return run_job(config, options, partial(_probe, config))


def _probe(config: ProbeConfig, job: Job) -> Made:
    assert isinstance(config.probe, NeighbourSettings)
    k, device, precision = config.probe.neighbours, job.device, config.probe.precision
    size = config.encoder.data.size
    network = Frozen(load_trunk(config), config.frozen, size, precision=precision)
    network = network.to(device).to(memory_format=torch.channels_last).eval()
    images, labels = images_of(config, job.data, "train", device)
    if len(images) < k:
        with about(config.run.study_file):
            raise ConfigError(
                f"{config.run.name}: {k} neighbours of {len(images)} images: lower probe.neighbours"
            )
    train = Split(Live(images, network), labels)  # each is asked for once: nothing to cache
    images, labels = images_of(config, job.data, "test", device)
    test = Split(features_of(images, network, flip=False), labels)
    with Progress(title_of(config), len(train.labels)) as progress:
        index = nearest(test, train, k, eval_batch(network, device), progress)
    result = scored(ranked(train.labels[index])[:, :5], test.labels)
    return probed(config, job, result, history=[])


def nearest(test: Split, train: Split, k: int, at_once: int, progress: Progress) -> Tensor:
    """The k nearest training images of each of m test images, the nearest first, int64 (m, k).

    Memory holds `at_once` images of either split, the distances between them and the k nearest so
    far. Several processes share the test images.
    """
    m, n, device = len(test.labels), len(train.labels), test.labels.device
    index = torch.zeros(m, k, dtype=torch.int64, device=device)
    distance = torch.full((m, k), torch.inf, dtype=torch.float64, device=device)
    for first in range(0, n, at_once):
        y = _block(train, first, at_once)  # (N, D)
        new = torch.arange(first, first + len(y), device=device)
        for start in parallel.mine(range(0, m, at_once)):
            x = _block(test, start, at_once)  # (B, D)
            rows = slice(start, start + len(x))
            # |x - y|^2 without |x|^2, which is the same for all y
            d = torch.addmm(y.square().sum(1), x, y.T, alpha=-2)  # (B, N)
            d, order = torch.cat([distance[rows], d], 1).sort(dim=1, stable=True)
            distance[rows] = d[:, :k]
            found = torch.cat([index[rows], new.expand(len(x), -1)], 1)
            index[rows] = found.gather(1, order[:, :k])
        progress.update(first + len(y))
    return parallel.total(index)


def _block(split: Split, start: int, at_once: int) -> Tensor:
    """Features of at most `at_once` images as float64 vectors (B, D)."""
    stop = min(start + at_once, len(split.labels))
    rows = torch.arange(start, stop, device=split.features.index_device)
    return split.features.batch(rows).flatten(1).double()


def ranked(labels: Tensor) -> Tensor:
    """Classes (m, k) of neighbours, the nearest first -> each class once, most votes first, then
    -1.

    Of classes with equally many votes the one with the nearest member comes first.
    """
    k = labels.shape[1]
    same = labels[:, :, None] == labels[:, None, :]  # (m, k, k)
    votes = same.sum(2)
    again = same.tril(-1).any(2)  # the class has a nearer member
    order = (k * votes - torch.arange(k, device=labels.device)).masked_fill(again, 0)
    return labels.masked_fill(again, -1).gather(1, order.argsort(dim=1, descending=True))
