"""The readings, A1 and on: what the text leaves open, our choice, and what depends on it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from patchvae.study.config import Scalar, read_yaml
from patchvae.study.registry import ARCHITECTURES
from patchvae.study.runs import PretrainConfig, ProbeConfig

ORIGINS = ("paper", "release", "ours")


@dataclass(frozen=True)
class Reading:
    """One reading; `origin` says who settles it: the paper, the authors' release, or we.

    `alternatives` are other readings by name, each as protocol keys with their values; where there
    are none, `why` says why not. `when` is what a configuration holds besides one of `keys` if its
    accuracy depends on the reading; None where no accuracy does.
    """

    id: str
    where: str
    what: str
    reading: str
    origin: str
    keys: tuple[str, ...]
    alternatives: Mapping[str, Mapping[str, Scalar]]
    why: str | None
    when: Mapping[str, Scalar] | None

    def concerns(self, held: Mapping[str, Any]) -> bool:
        """Whether an accuracy that depends on these keys, with their values, depends on this."""
        if self.when is None or (self.keys and not held.keys() & set(self.keys)):
            return False
        return all(held.get(key) == value for key, value in self.when.items())


@cache
def readings() -> dict[str, Reading]:
    """Every reading by id."""
    document = read_yaml(files("patchvae.paper").joinpath("readings.yaml"))
    return {
        name: Reading(
            id=name,
            where=raw["where"],
            what=raw["what"],
            reading=raw["reading"],
            origin=raw["origin"],
            keys=tuple(raw["keys"]),
            alternatives=raw.get("alternatives", {}),
            why=raw.get("why"),
            when=None if raw.get("when") == "never" else raw.get("when", {}),
        )
        for name, raw in document.items()
    }


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
    shaping = (*architecture.keys, *(key for _, key in architecture.variant))
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
