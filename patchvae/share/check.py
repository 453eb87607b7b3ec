"""Whether a result's files hold what they must, beyond their digests; nothing in them can run."""

from pathlib import Path

import numpy as np

from patchvae.errors import CheckpointError
from patchvae.planning.jobs import Job
from patchvae.runtime.results import read_result
from patchvae.study import paths
from patchvae.study.digests import digest_of
from patchvae.study.runs import PretrainConfig
from patchvae.study.standing import standing
from patchvae.study.yaml_files import read_yaml


def check_content(job: Job, root: Path) -> None:
    """CheckpointError unless configuration, weights or predictions of a training below `root` are
    of its configuration.
    """
    if job.config is None:
        return
    folder = root / job.target.parent
    if digest_of(standing(read_yaml(folder / paths.RESOLVED))) != job.config.digest:
        raise CheckpointError(f"{folder / paths.RESOLVED} is not the configuration of {job.name}")
    if isinstance(job.config, PretrainConfig):
        _check_weights(job.config, folder)
    else:
        _check_predictions(job, folder)


def _check_weights(config: PretrainConfig, folder: Path) -> None:
    """Safetensors that fill the network, whose trunk is the encoder."""
    import torch

    from patchvae.runtime.checkpoint import load_weights
    from patchvae.training.network import network_of

    encoder = load_weights(folder / paths.ENCODER)
    load_weights(folder / paths.SNAPSHOTS)
    try:
        model = network_of(config, load_weights(folder / paths.MODEL), torch.device("cpu"))
    except RuntimeError as error:
        said = " ".join(str(error).split())
        raise CheckpointError(f"{folder / paths.MODEL} is of another network: {said}") from None
    trunk = model.trunk.state_dict()
    if trunk.keys() != encoder.keys() or any(not trunk[n].equal(encoder[n]) for n in trunk):
        raise CheckpointError(f"{folder / paths.ENCODER} is not the trunk of {paths.MODEL}")


def _check_predictions(job: Job, folder: Path) -> None:
    """Accuracies that follow from the predictions, which numpy opens without pickles."""
    from patchvae.training.scores import PREDICTED, accuracies

    metrics = read_result(folder / paths.METRICS, job.kind)
    with np.load(folder / paths.PREDICTIONS, allow_pickle=False) as stored:
        found = accuracies(**{name: stored[name] for name in PREDICTED})
    same = all(found[name] == metrics[name] for name in ("top1", "top5"))
    if not same or any(found[name].shape != (metrics["n_test"],) for name in PREDICTED):
        raise CheckpointError(f"{folder / paths.PREDICTIONS} does not give the accuracies recorded")
