"""Models by name: the only place where a configuration becomes a network."""

from importlib import import_module
from typing import Any

from patchvae.models.base import Unsupervised
from patchvae.registry import ADVERSARIAL, ARCHITECTURES
from patchvae.runs import PretrainConfig


def build(config: PretrainConfig) -> Unsupervised:
    """The network of a configuration, freshly initialised from torch's global generator."""
    network = _load(ARCHITECTURES[config.architecture].target)
    recon = {} if config.recon is None else {"recon": config.recon}
    model: Unsupervised = network(config.data.size, **recon, **config.model)
    if config.adversarial is None:
        return model
    wrapped: Unsupervised = _load(ADVERSARIAL)(model, **config.adversarial)
    return wrapped


def _load(target: str) -> Any:
    """`module:Class`; not imported by name, so that `sources` sees who depends on which."""
    module, name = target.split(":")
    return getattr(import_module(module), name)
