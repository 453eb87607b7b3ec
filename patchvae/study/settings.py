"""The protocol's keys that the code reads: of trainings as dataclasses, the others by registry."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from patchvae.study.registry import (
    ADVERSARIAL_INIT,
    ADVERSARIAL_KEYS,
    ARCHITECTURES,
    RECONSTRUCTIONS,
)


@dataclass(frozen=True)
class PretrainSettings:
    """Section `pretrain` of the protocol."""

    epochs: int
    batch_size: int
    lr: float
    lr_step: int
    lr_factor: float
    adam_beta1: float
    adam_beta2: float
    weight_decay: float
    flip: bool
    precision: str
    snapshots: int


@dataclass(frozen=True)
class ProbeSettings:
    """What a trained probe takes of section `probe` of the protocol."""

    epochs: int
    batch_size: int
    lr: float
    lr_step: int
    lr_factor: float
    momentum: float
    weight_decay: float
    hidden: int
    dropout: float
    init: str
    frozen_bn: str
    affine: str
    report: str
    flip: bool
    precision: str
    images: int
    snapshot: int


@dataclass(frozen=True)
class NeighbourSettings:
    """What a vote of nearest neighbours takes of section `probe`."""

    neighbours: int
    precision: str
    images: int
    snapshot: int


def keys_read() -> Mapping[str, set[str]]:
    """The keys that the code reads, by section."""
    shaping = {key for a in ARCHITECTURES.values() for key in (*a.keys, *a.variant, a.inputs)}
    return {
        "model": {key.removeprefix("model.") for key in shaping if not key.startswith("advers")},
        "reconstruction": {key for keys in RECONSTRUCTIONS.values() for key in keys},
        "init": {*ADVERSARIAL_INIT, *(key for a in ARCHITECTURES.values() for key in a.init)},
        "adversarial": set(ADVERSARIAL_KEYS),
        "pretrain": {field.name for field in fields(PretrainSettings)},
        "probe": {f.name for kind in (ProbeSettings, NeighbourSettings) for f in fields(kind)},
    }
