"""Models by name: the only place where a configuration becomes a network."""

from importlib import import_module

from patchvae.models.base import VAE, Unsupervised
from patchvae.registry import ARCHITECTURES
from patchvae.runs import PretrainConfig


def build(config: PretrainConfig) -> Unsupervised:
    """The network of a configuration, freshly initialised from torch's global generator."""
    module, name = ARCHITECTURES[config.architecture].target.split(":")
    network = getattr(import_module(module), name)
    recon = {} if config.recon is None else {"recon": config.recon}
    model: Unsupervised = network(config.data.size, **recon, **config.model)
    if config.adversarial is None:
        return model
    from patchvae.models.adversarial import Adversarial

    assert isinstance(model, VAE)
    return Adversarial(model, **config.adversarial)  # type: ignore[arg-type]
