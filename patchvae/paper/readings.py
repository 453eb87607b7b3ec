"""Which readings a number depends on: what the text leaves open, and our choice."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from patchvae.study.readings import readings
from patchvae.study.registry import ARCHITECTURES
from patchvae.study.runs import PretrainConfig, ProbeConfig


def readings_of(config: ProbeConfig, origin: str | None = None) -> list[str]:
    """Ids of the readings that a probe's accuracy depends on; only those of one origin if given."""
    held = keys_behind(config)
    return [r.id for r in readings().values() if r.concerns(held) and origin in (None, r.origin)]


def keys_behind(config: ProbeConfig) -> dict[str, Any]:
    """The protocol's keys that a probe's accuracy depends on, with their values.

    `data.unlabelled`, which is none of them, says whether images without labels served too.
    """
    found = _keys_of_run(config.encoder) | _named("probe", asdict(config.probe))
    if config.frozen is None:  # every stage learns, and its batch norm has each batch's statistics
        found.pop("probe.frozen_bn", None)
        found.pop("model.random_statistics", None)
    return found


def _keys_of_run(config: PretrainConfig) -> dict[str, Any]:
    architecture = ARCHITECTURES[config.architecture]
    shaping = (*architecture.keys, *architecture.variant)
    full = [key if "." in key else f"model.{key}" for key in shaping]
    found: dict[str, Any] = {key: config.model[key.partition(".")[2]] for key in full}
    if not architecture.named:
        found[architecture.inputs] = config.data.inputs
    if config.pretrain is not None:
        found |= _named("pretrain", asdict(config.pretrain))
        found["data.unlabelled"] = config.data.unlabelled
    return (
        found
        | _named("reconstruction", config.reconstruction)
        | _named("init", config.init)
        | _named("adversarial", config.adversarial or {})
    )


def _named(section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{section}.{name}": value for name, value in values.items()}
