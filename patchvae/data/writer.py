"""Writes the arrays of one dataset into a folder, block by block, in bounded memory."""

import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import DTypeLike

from patchvae.errors import DataError
from patchvae.runtime.disk import writing
from patchvae.runtime.lock import confirm_locks
from patchvae.study.registry import Dataset

SPLITS = ("train", "unlabelled", "test")


def store_rows(path: Path, start: int, block: np.ndarray) -> None:
    """Store `block` from row `start` on; mapped only meanwhile, to keep resident memory flat."""
    with writing(path):
        array = np.load(path, mmap_mode="r+")
        array[start : start + len(block)] = block
        array.flush()


class Writer:
    """What a dataset's `prepare_into` writes with: arrays, class names, source digests.

    `folder` takes the arrays, `downloads` is the default place of the original files and `report`
    takes lines for people.
    """

    def __init__(
        self, facts: Dataset, folder: Path, downloads: Path, report: Callable[[str], None]
    ) -> None:
        self.facts = facts
        self.folder = folder
        self.downloads = downloads
        self.report = report
        self.classes: list[str] = []
        self.sources: dict[str, str] = {}

    @property
    def counts(self) -> dict[str, int]:
        """Images by split, as the registry says."""
        facts = self.facts
        return {"train": facts.train, "unlabelled": facts.unlabelled, "test": facts.test}

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def beside(self, name: str) -> Path:
        """A file of our own about the originals: their folder may be a link to a read-only one."""
        return self.downloads.with_name(f"{self.downloads.name}.{name}")

    def create(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        """A new zero array; its disk space is taken at once, so that a full disk shows here."""
        confirm_locks()
        size = math.prod(shape) * np.dtype(dtype).itemsize
        with writing(f"{self.path(name)} ({size / 1e9:.1f} GB, under the data root PATCHVAE_DATA)"):
            offset = np.lib.format.open_memmap(self.path(name), "w+", dtype, shape).offset
            with self.path(name).open("r+b") as f:
                os.posix_fallocate(f.fileno(), 0, offset + size)

    def put(self, name: str, start: int, block: np.ndarray) -> None:
        """`store_rows` of an array by its name."""
        store_rows(self.path(name), start, block)

    def array(self, name: str, value: np.ndarray) -> None:
        """A whole small array at once."""
        self.create(name, value.shape, value.dtype)
        self.put(name, 0, value)

    def images(self, split: str, count: int) -> None:
        """Room for the images of a split: count x size x size x 3, uint8."""
        size = self.facts.size
        self.create(split, (count, size, size, 3), np.uint8)

    def labels(self, split: str, labels: Iterable[int]) -> None:
        """The int64 labels of a split."""
        self.array(f"{split}_labels", np.asarray(labels, dtype=np.int64))

    def check(self) -> dict[str, int]:
        """Counts by split; DataError unless counts, classes, size and labels are the registry's."""
        self.check_classes()
        for split, count in self.counts.items():
            if count:
                self._check_split(split, count)
        return self.counts

    def check_classes(self) -> None:
        """DataError unless there are as many classes as the registry says."""
        if len(self.classes) != self.facts.classes:
            self.wrong(f"{len(self.classes)} classes, not {self.facts.classes}")

    def _check_split(self, split: str, count: int) -> None:
        size = self.facts.size
        if not self.path(split).exists():
            self.wrong(f"no {split} images, not {count}")
        shape = np.load(self.path(split), mmap_mode="r").shape
        if shape[0] != count:
            self.wrong(f"{shape[0]} {split} images, not {count}")
        if shape[1:] != (size, size, 3):
            self.wrong(f"{split} images of shape {shape[1:]}, not {(size, size, 3)}")
        if split == "unlabelled":
            return
        labels = np.load(self.path(f"{split}_labels"))
        if labels.shape != (count,):
            self.wrong(f"{len(labels)} {split} labels, not {count}")
        if set(np.unique(labels)) != set(range(self.facts.classes)):
            self.wrong(f"{split} labels do not cover 0..{self.facts.classes - 1}")

    def wrong(self, what: str) -> NoReturn:
        """DataError: the dataset has something that the published one has not."""
        raise DataError(
            f"dataset '{self.facts.name}' has {what}: the files given are not the published ones"
        )
