"""The readings, A1 and on: what the text leaves open, our choice, and the numbers that depend on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

from patchvae.paper.published import CellKey
from patchvae.study.config import Scalar, read_yaml

ORIGINS = ("paper", "release", "ours")


@dataclass(frozen=True)
class Reading:
    """One reading; `origin` says who settles it: the paper, the authors' release, or we.

    `alternatives` are other readings by name, each as protocol keys with their values; where there are
    none, `why` says why not.
    """

    id: str
    where: str
    what: str
    reading: str
    origin: str
    keys: tuple[str, ...]
    alternatives: Mapping[str, Mapping[str, Scalar]]
    why: str | None
    cells: tuple[str, ...]

    def concerns(self, key: CellKey) -> bool:
        """Whether the number at `key` depends on this reading."""
        return any(all(map(fnmatchcase, key, pattern.split("/"))) for pattern in self.cells)


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
            cells=tuple(raw["cells"]),
        )
        for name, raw in document.items()
    }


def readings_of(key: CellKey, origin: str | None = None) -> list[str]:
    """Ids of the readings that the number at `key` depends on; only those of one origin if given.

    Rows and datasets that the paper does not have match by the same patterns.
    """
    return [r.id for r in readings().values() if r.concerns(key) and origin in (None, r.origin)]
