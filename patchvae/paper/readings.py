"""The readings A1-A18: what the text leaves open, our choice, and the numbers that depend on it."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

from patchvae.config import read_yaml
from patchvae.paper.published import CellKey

ORIGINS = ("paper", "release", "ours")


@dataclass(frozen=True)
class Reading:
    """One reading; `origin` says who settles it: the paper, the authors' release, or we."""

    id: str
    where: str
    what: str
    reading: str
    origin: str
    keys: tuple[str, ...]
    cells: tuple[str, ...]

    def concerns(self, key: CellKey) -> bool:
        """Whether the number at `key` depends on this reading."""
        return any(all(map(fnmatchcase, key, pattern.split("/"))) for pattern in self.cells)


@cache
def readings() -> dict[str, Reading]:
    """A1-A18 by id."""
    document = read_yaml(files("patchvae.paper").joinpath("readings.yaml"))
    return {
        name: Reading(
            id=name,
            where=raw["where"],
            what=raw["what"],
            reading=raw["reading"],
            origin=raw["origin"],
            keys=tuple(raw["keys"]),
            cells=tuple(raw["cells"]),
        )
        for name, raw in document.items()
    }


def readings_of(key: CellKey, origin: str | None = None) -> list[str]:
    """Ids of the readings that the number at `key` depends on; only those of one origin if given.

    Rows and datasets that the paper does not have match by the same patterns.
    """
    return [r.id for r in readings().values() if r.concerns(key) and origin in (None, r.origin)]
