"""How much a job computes: images and steps, from its configuration alone."""

from patchvae.runtime.stage import Config
from patchvae.study.registry import DATASETS
from patchvae.study.runs import NeighbourSettings, PretrainConfig, ProbeConfig


def gpus(config: Config) -> int:
    """GPUs, and with each a process and a core, that share a job; one where nothing is trained."""
    if isinstance(config, PretrainConfig) and config.pretrain is None:
        return 1
    return config.run.of_study.gpus(config.run.dataset)


def pretrain_images(config: PretrainConfig) -> int:
    """Images of one epoch of pretraining, those of an incomplete batch included."""
    facts = DATASETS[config.data.dataset]
    labelled = config.data.train or facts.train
    return labelled + (facts.unlabelled if config.data.unlabelled else 0)


def probe_images(config: ProbeConfig) -> tuple[int, int]:
    """Training and test images of a probe."""
    data = config.encoder.data
    facts = DATASETS[data.dataset]
    return config.probe.images or data.train or facts.train, data.test or facts.test


def steps(config: Config) -> int:
    """Optimiser steps of the whole training; 0 where nothing is trained."""
    if isinstance(config, ProbeConfig):
        if isinstance(config.probe, NeighbourSettings):
            return 0
        return config.probe.epochs * (probe_images(config)[0] // config.probe.batch_size)
    if config.pretrain is None:
        return 0
    return config.pretrain.epochs * (pretrain_images(config) // config.pretrain.batch_size)
