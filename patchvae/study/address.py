"""The address of one number: of the paper's or of ours."""

from pathlib import Path
from typing import NamedTuple

from patchvae.errors import ConfigError
from patchvae.study import paths


class CellKey(NamedTuple):
    """The address of one number; `str(key)` is `table/row/column`."""

    table: str
    row: str
    column: str

    def __str__(self) -> str:
        return "/".join(self)

    @property
    def dataset(self) -> str:
        """`cifar100` of the column `cifar100-conv5`."""
        return self.column.partition("-")[0]

    @property
    def measure(self) -> str:
        """`conv5` of the column `cifar100-conv5`, `top1` of `imagenet-top1`.

        Datasets have no dashes.
        """
        return self.column.partition("-")[2]

    def path(self, study: str) -> Path:
        """The cell's file of a study."""
        return Path(paths.CELL.format(study=study, **self._asdict()))

    @classmethod
    def parse(cls, text: str) -> "CellKey":
        """The key written `table/row/column`; ConfigError when it has another shape."""
        parts = text.split("/")
        if len(parts) != 3 or not all(parts):
            raise ConfigError(
                f"'{text}' is not a cell: write table/row/column as in table1/bigan/cifar100-conv5"
            )
        return cls(*parts)
