"""Models by name: the only place where a configuration becomes a network."""

from importlib import import_module
from typing import Any

from patchvae.models.base import Unsupervised
from patchvae.models.initial import initialise
from patchvae.models.losses import Reconstruction
from patchvae.numerics import parallel
from patchvae.study.registry import ADVERSARIAL, ARCHITECTURES
from patchvae.study.runs import PretrainConfig


def build(config: PretrainConfig) -> Unsupervised:
    """The network of a configuration, freshly initialised from torch's global generator."""
    network = _load(ARCHITECTURES[config.architecture].target)
    loss = {}
    if config.recon is not None:
        settings: dict[str, Any] = dict(config.reconstruction)
        loss = {"recon": Reconstruction(config.recon == "lw", **settings, mean=parallel.mean)}
    model: Unsupervised = network.configured(config.data.size, **loss, **config.model)
    if config.adversarial is not None:
        model = _load(ADVERSARIAL)(model, **config.adversarial)
    blocks = model.blocks()
    for name, scheme in config.init.items():
        for module in blocks[name]:
            initialise(module, str(scheme))
    return model


def _load(target: str) -> Any:
    """`module:Class`; not imported by name, so that `sources` sees who depends on which."""
    module, name = target.split(":")
    return getattr(import_module(module), name)
