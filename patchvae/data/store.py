"""The prepared form of a dataset: memory-mapped uint8 arrays and a sealed manifest in one folder.

<root>/<name>/{train,unlabelled,test}.npy   N x H x W x 3, uint8
<root>/<name>/{train,test}_labels.npy       N, int64
<root>/<name>/manifest.json                 counts, classes, sizes, digests
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from patchvae.data.manifest import FORMAT, check_files, describe, read_manifest, write_manifest
from patchvae.data.source import module_of
from patchvae.data.writer import SPLITS, Writer
from patchvae.errors import ConfigError, DataError
from patchvae.runtime.lock import locked
from patchvae.study.config import find_dataset
from patchvae.study.registry import Dataset

SUBSET_SEED = 20_201


def data_root() -> Path:
    """The environment variable PATCHVAE_DATA, else `data` in the current folder."""
    return Path(os.environ.get("PATCHVAE_DATA") or "data")


@dataclass(frozen=True)
class Prepared:
    """A prepared dataset, checked when it was opened."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        return self.manifest["dataset"]

    @property
    def classes(self) -> list[str]:
        return self.manifest["classes"]

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, hence of every byte of the dataset."""
        return self.manifest["digest"]

    def count(self, split: str) -> int:
        """Number of images of `train`, `unlabelled` or `test` (0 if the dataset has none)."""
        if split not in SPLITS:
            raise ConfigError(f"unknown split '{split}': choose one of {', '.join(SPLITS)}")
        return self.manifest["splits"][split]

    def images(self, split: str) -> np.memmap:
        """N x H x W x 3, uint8, read only."""
        return self.extra(split)

    def labels(self, split: str) -> np.ndarray:
        """N, int64, in memory; DataError for `unlabelled`."""
        return np.array(self.extra(f"{split}_labels"))

    def extra(self, name: str) -> np.memmap:
        """Any array by its file name without `.npy`, such as `train_places`."""
        if f"{name}.npy" not in self.manifest["files"]:
            raise DataError(f"dataset '{self.name}' has no array '{name}' in {self.folder}")
        return np.load(self.folder / f"{name}.npy", mmap_mode="r")

    def subset_indices(self, split: str, limit: int | None = None) -> np.ndarray:
        """Sorted indices of all images, or of `limit` of them, as many of each class as can be.

        The choice is fixed, and a smaller subset is part of a larger one. ConfigError when `limit`
        is not within 1..count.
        """
        count = self.count(split)
        if limit is None:
            return np.arange(count)
        if not 1 <= limit <= count:
            raise ConfigError(
                f"cannot take {limit} {split} images of '{self.name}': choose 1 to {count}"
            )
        shuffled = np.random.default_rng(SUBSET_SEED).permutation(count)
        if split == "unlabelled":
            return np.sort(shuffled[:limit])
        rank = _rank_in_class(self.labels(split)[shuffled])
        return np.sort(shuffled[np.argsort(rank, kind="stable")[:limit]])


def _rank_in_class(labels: np.ndarray) -> np.ndarray:
    """How many equal labels stand before each one."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    rank = np.empty(len(labels), dtype=np.int64)
    rank[order] = np.arange(len(labels)) - np.searchsorted(ordered, ordered)
    return rank


def open_dataset(dataset: str | Dataset, root: Path | None = None) -> Prepared:
    """The prepared dataset; DataError when it is missing, truncated, altered or outdated.

    Every file's size is checked, and its SHA-256 up to 256 MiB; of larger ones sampled blocks.
    """
    return _open(_facts(dataset), root or data_root(), full=False)


def verify(dataset: str | Dataset, root: Path | None = None) -> Prepared:
    """As `open_dataset`, but with the SHA-256 of every file, however large."""
    return _open(_facts(dataset), root or data_root(), full=True)


def prepare(
    dataset: str | Dataset,
    source: Path | None = None,
    root: Path | None = None,
    report: Callable[[str], None] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Import a dataset into `<root>/<name>` and return its manifest; a valid one is left alone.

    Where another process prepares the same dataset this one waits and finds it prepared.
    The dataset's module (`Source`) fills a partial folder beside it; the folder takes its final
    name once all is checked and on disk. `source` is where the original files are, by default
    `<root>/downloads/<name>`. DataError when the files are not the published ones.
    """
    facts, root, report = _facts(dataset), root or data_root(), report or (lambda line: None)
    if (manifest := _ready(facts, root)) is None:  # looked at first: it may be a read-only folder
        root.mkdir(parents=True, exist_ok=True)
        with locked(root / f".{facts.name}.lock", wait=True):
            if (manifest := _ready(facts, root, report)) is None:
                return _import(facts, source, root, report, options)
    report(f"{facts.name}: already prepared")
    return manifest


def _ready(
    facts: Dataset, root: Path, report: Callable[[str], None] | None = None
) -> dict[str, Any] | None:
    """The manifest of a valid preparation; `report` gets a line about a damaged one."""
    try:
        return _open(facts, root, full=False).manifest
    except DataError as error:
        if report is not None and (root / facts.name).exists():
            report(f"{error} (doing so now)")
        return None


def _import(
    facts: Dataset,
    source: Path | None,
    root: Path,
    report: Callable[[str], None],
    options: dict[str, Any],
) -> dict[str, Any]:
    folder = _partial(facts, root)
    writer = Writer(facts, folder, root / "downloads" / facts.name, report)
    module_of(facts).prepare_into(facts, source, writer, **options)
    _finish(writer)
    _replace(folder, root / facts.name)
    report(f"{facts.name}: prepared in {root / facts.name}")
    return _open(facts, root, full=False).manifest


def _facts(dataset: str | Dataset) -> Dataset:
    return find_dataset(dataset) if isinstance(dataset, str) else dataset


def _open(facts: Dataset, root: Path, full: bool) -> Prepared:
    folder, name = root / facts.name, facts.name
    if not (folder / "manifest.json").is_file():
        raise DataError(
            f"dataset '{name}' is not prepared under {root}: run `patchvae prepare {name}`"
        )
    mend = f"run `patchvae prepare {name}` again"
    manifest = read_manifest(folder, mend)
    splits = {"train": facts.train, "unlabelled": facts.unlabelled, "test": facts.test}
    if facts.listing and manifest.get("listing") != facts.listing:
        raise DataError(f"{facts.root} has changed since '{name}' was prepared: {mend}")
    found = (manifest["splits"], manifest["size"], len(manifest["classes"]), manifest["form"])
    if found != (splits, facts.size, facts.classes, module_of(facts).FORM):
        raise DataError(f"{folder} was prepared by another version of the suite: {mend}")
    check_files(folder, manifest, full, mend)
    return Prepared(folder, manifest)


def _partial(facts: Dataset, root: Path) -> Path:
    """The folder under construction; kept from a stopped attempt only by a resumable dataset."""
    folder = root / f".{facts.name}.partial"
    if folder.exists() and not module_of(facts).RESUMABLE:
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    return folder


def _finish(writer: Writer) -> None:
    facts = writer.facts
    splits = writer.check()
    files = sorted(writer.folder.glob("*.npy"))
    for path in files:
        _sync(path)
    manifest = {
        "format": FORMAT,
        "form": module_of(facts).FORM,
        "dataset": facts.name,
        "size": facts.size,
        "classes": writer.classes,
        "splits": splits,
        "sources": writer.sources,
        "files": {path.name: describe(path) for path in files},
    } | ({"listing": facts.listing} if facts.listing else {})
    for log in writer.folder.glob("*.done"):
        log.unlink()
    write_manifest(writer.folder, manifest)
    _sync(writer.folder)


def _replace(folder: Path, final: Path) -> None:
    """Give the finished folder its name; a damaged predecessor makes room first."""
    old = final.with_name(f".{final.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    folder.rename(final)
    _sync(final.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
