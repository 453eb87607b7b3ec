"""What a table is made of: rows, columns and panels."""

from collections.abc import Mapping
from dataclasses import dataclass

from patchvae.study.config import Study
from patchvae.study.protocol import Scalar
from patchvae.study.variants import probe_of, variant_of

BEYOND = "†"  # marks what the paper does not have


@dataclass(frozen=True)
class Row:
    """A row: a model with some hyper-parameters set; its key is its address."""

    key: str
    label: str
    model: str
    overrides: Mapping[str, Scalar]
    probe: str | None
    reference: bool

    def stages(self, study: Study, dataset: str, probe: str) -> tuple[str, str]:
        """Variant and probe by which its runs are named; its own probe comes before a column's."""
        variant = variant_of(study, dataset, self.model, self.overrides)
        return variant, probe_of(study, dataset, self.probe or probe, self.overrides)


@dataclass(frozen=True)
class Column:
    """A column of a dataset: a probe and a metric; `beyond` says what it is if not the paper's."""

    key: str
    label: str
    probe: str
    metric: str
    beyond: str = ""

    @property
    def heading(self) -> str:
        """The label, marked if the column is not the paper's."""
        return self.label + (BEYOND if self.beyond else "")


@dataclass(frozen=True)
class Panel:
    """A block of rows with a header of its own; groups are separated by rules."""

    header: str
    groups: tuple[tuple[Row, ...], ...]
