"""Indoor67: not importable yet."""

from pathlib import Path

from patchvae.data.writer import Writer
from patchvae.errors import DataError
from patchvae.registry import Dataset

FORM = 1


def prepare_into(facts: Dataset, source: Path | None, writer: Writer) -> None:
    """Not there yet: DataError."""
    raise DataError(f"preparing '{facts.name}' is not there yet: choose another dataset")
