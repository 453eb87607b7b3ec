"""Models by name: the only place where a configuration becomes a network."""

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from patchvae.errors import ConfigError
from patchvae.models.base import Unsupervised
from patchvae.models.initial import initialise
from patchvae.models.losses import Reconstruction
from patchvae.numerics import parallel
from patchvae.study.registry import ADVERSARIAL, ARCHITECTURES
from patchvae.study.runs import PretrainConfig


def build(config: PretrainConfig) -> Unsupervised:
    """The network of a configuration, freshly initialised from torch's global generator."""
    loss: dict[str, Any] = {}
    if config.recon is not None:
        settings: dict[str, Any] = dict(config.reconstruction)
        loss = {"recon": Reconstruction(config.recon == "lw", **settings, mean=parallel.mean)}
    model = _configured(config, loss)
    if config.adversarial is not None:
        model = _load(ADVERSARIAL)(model, **config.adversarial)
    blocks = model.blocks()
    for name, scheme in config.init.items():
        if name not in blocks:
            raise ConfigError(_mismatch(config, f"no block '{name}'"))
        for module in blocks[name]:
            initialise(module, str(scheme))
    return model


def _configured(config: PretrainConfig, loss: Mapping[str, Any]) -> Unsupervised:
    """The architecture's network; ConfigError where it takes other keys than the registry says."""
    network = _load(ARCHITECTURES[config.architecture].target)
    try:
        found: Unsupervised = network.configured(config.data.size, **loss, **config.model)
    except KeyError as error:  # a key that `configured` takes out of its settings
        if f"model.{error.args[0]}" not in config.run.of_study.defaults:
            raise
        raise ConfigError(_mismatch(config, f"missing '{error.args[0]}'")) from None
    except TypeError as error:
        if re.search(r"unexpected keyword argument|missing \d+ required", str(error)) is None:
            raise
        raise ConfigError(_mismatch(config, str(error))) from None
    return found


def _mismatch(config: PretrainConfig, what: str) -> str:
    target = ARCHITECTURES[config.architecture].target
    return (
        f"{target}: {what}: it and the line '{config.architecture}' of patchvae/study/registry.py"
        " must name the same keys"
    )


def _load(target: str) -> Any:
    """`module:Class`; not imported by name, so that `sources` sees who depends on which."""
    module, name = target.split(":")
    return getattr(import_module(module), name)
