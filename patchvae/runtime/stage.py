"""The stages that compute, pretraining and probing: how their jobs are called and kept apart."""

from pathlib import Path

from patchvae.study import paths
from patchvae.study.digests import digest_of
from patchvae.study.runs import PretrainConfig, ProbeConfig
from patchvae.study.sources import pretrain_source, probe_source

PRETRAIN = "pretrain"
Config = PretrainConfig | ProbeConfig


def stage_of(config: Config) -> str:
    """`pretrain`, or the probe's name; the stage's files lie in the run's folder of that name."""
    return config.stage if isinstance(config, ProbeConfig) else PRETRAIN


def title_of(config: Config) -> str:
    """A job in messages: the run's name, followed by the probe's."""
    return (
        f"{config.run.name}/{config.stage}" if isinstance(config, ProbeConfig) else config.run.name
    )


def source_of(config: Config) -> str:
    """Digest of the code that decides the job's numbers."""
    if isinstance(config, ProbeConfig):
        return probe_source(config.name)
    return pretrain_source(config.run.model)


def lock_of(config: Config) -> Path:
    """What a job holds so that no other computes the same."""
    return paths.lock(config.run.study, title_of(config))


def states_of(config: Config, before: str) -> Path:
    """Where a training keeps its states.

    They belong to one configuration, one version of the code, and what the job starts from:
    `before` is the digest of the images that a run is pretrained on, or of the pretraining that is
    probed.
    """
    key = digest_of([config.digest, before, source_of(config)])
    return paths.state(config.run.name, stage_of(config), key)
