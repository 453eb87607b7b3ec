"""Classification with the first stages of a pretrained trunk frozen (paper, sections 4 and 4.1).

What the frozen stages make of images is computed once (`features`); the rest is trained on it.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import torch

from patchvae.errors import ConfigError
from patchvae.models.classifier import Classifier
from patchvae.numerics import parallel
from patchvae.numerics.seeds import derive_seed
from patchvae.runtime.machine import Options
from patchvae.study.runs import ProbeConfig
from patchvae.study.yaml_files import about
from patchvae.training.classify import train_classifier
from patchvae.training.features import Split, eval_batch, features_of, images_of, load_trunk
from patchvae.training.job import Job, Made, run_job
from patchvae.training.scores import accuracies, evaluate, probed
from patchvae.training.standardise import Standardised, moments

NETWORK = ("hidden", "precision", "dropout", "init", "frozen_bn", "affine")  # settings of it


def probe(config: ProbeConfig, options: Options) -> dict[str, Any]:
    """Train one classifier and write its files; returns the content of its metrics.json.

    The result is the last epoch's accuracy (reading A12); the best epoch's is recorded by that
    name. With `report: best` it is the result, chosen on the test images.
    """
    return run_job(config, options, partial(_probe, config))


def _probe(config: ProbeConfig, job: Job) -> Made:
    classifier = _classifier(config, job)
    train, test = _splits(config, classifier, job)
    loop = train_classifier(config, classifier, train, test, job)
    kept = {name: tensor.numpy() for name, tensor in loop.kept.items()}
    result = accuracies(**kept) if kept else evaluate(classifier, test)
    best = max(loop.history, key=lambda row: row["top1"])
    return probed(config, job, result, loop.history, best_epoch=best)


def _classifier(config: ProbeConfig, job: Job) -> Classifier:
    trunk = load_trunk(config)
    torch.manual_seed(derive_seed(config.run.seed, "probe", "init"))
    facts = config.encoder.data
    network = {name: getattr(config.training, name) for name in NETWORK}
    classifier = Classifier(trunk, config.frozen, facts.size, facts.classes, **network)
    return classifier.to(job.device).to(memory_format=torch.channels_last).eval()


def _splits(config: ProbeConfig, classifier: Classifier, job: Job) -> tuple[Split, Split]:
    """Features to train on and to test with; ConfigError where batches and images do not fit."""
    settings = config.training
    with about(config.run.study_file):
        train = _split(config, job, "train", classifier)
        test = _split(config, job, "test", classifier)
        parallel.check_batch(settings.batch_size)
    if not config.standardised:
        return train, test
    at_once = eval_batch(classifier, job.device)
    scale = moments(train.features, len(train.labels), settings.flip, at_once)
    train, test = (replace(s, features=Standardised(s.features, *scale)) for s in (train, test))
    return train, test


def _split(config: ProbeConfig, job: Job, name: str, classifier: Classifier) -> Split:
    settings = config.training
    images, labels = images_of(config, job.data, name, job.device)
    if name == "train" and len(images) < settings.batch_size:
        raise ConfigError(
            f"{config.run.name}: {len(images)} images make no batch of {settings.batch_size}:"
            " lower probe.batch_size"
        )
    flip = settings.flip and name == "train"
    return Split(features_of(images, classifier, flip), labels)
