"""The readings, A1 and on: what the paper's text leaves open, our choice, and its alternatives."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from patchvae.study.paths import PACKAGE
from patchvae.study.protocol import Scalar
from patchvae.study.yaml_files import read_yaml

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
    document = read_yaml(PACKAGE / "paper" / "readings.yaml")
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
