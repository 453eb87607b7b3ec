"""What a dataset's module is to the preparation."""

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from patchvae.data.writer import Writer
from patchvae.study.registry import Dataset


class Source(Protocol):
    """A module of this folder that knows the original files of a dataset."""

    FORM: int  # of the prepared bytes; to be raised whenever they change
    RESUMABLE: bool  # whether what a stopped preparation left is continued, not begun anew

    def prepare_into(self, facts: Dataset, source: Path | None, writer: Writer) -> None:
        """Write arrays, classes and digests; DataError when the files are not the published ones.

        `source` is where the original files are, `writer.downloads` unless given. A module
        may have further options, all with defaults: other digests than the published ones, how many
        processes decode.
        """


def module_of(facts: Dataset) -> Source:
    """The module of a dataset."""
    module: Any = import_module(facts.import_path)
    return module
