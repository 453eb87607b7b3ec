"""Folders of images that a study declares as a dataset: what is in them, found by looking.

`<root>/train/<class>/...` and `<root>/test/<class>/...`, and images without labels anywhere below
`<root>/unlabelled/`; or a csv file with the columns `file` (below the root), `split` and `class`.
Names that begin with a dot are left out; every other file is taken for an image.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from patchvae.errors import ConfigError, DataError
from patchvae.study.digests import digest_of
from patchvae.study.registry import DATASETS, Dataset

SPLITS = ("train", "unlabelled", "test")
COLUMNS = ("file", "split", "class")


@dataclass(frozen=True)
class Image:
    """A file below the root, its split and its class (none where it is unlabelled)."""

    file: str
    split: str
    label: str


@dataclass(frozen=True)
class Folder:
    """The images of a root, sorted by file."""

    root: Path
    images: tuple[Image, ...]

    @property
    def classes(self) -> list[str]:
        return sorted({i.label for i in self.images if i.split == "train"})

    def of(self, split: str) -> list[Image]:
        return [image for image in self.images if image.split == split]

    @property
    def listing(self) -> str:
        """SHA-256 (hex) over names, splits, classes and sizes in bytes, the same on any machine."""
        sizes = [(self.root / image.file).stat().st_size for image in self.images]
        words = [[i.file, i.split, i.label] for i in self.images]
        return digest_of([words, sizes])


def declare(name: str, raw: Mapping[str, Any]) -> None:
    """Make a folder a dataset of this process; ConfigError or DataError when it cannot be one."""
    known = DATASETS.get(name)
    declared = (raw["folder"], raw.get("split", ""), raw["size"])
    if known is not None and (known.root, known.split, known.size) != declared:
        what = "another study declares it otherwise" if known.root else "the suite has one"
        raise ConfigError(f"datasets.{name}: {what}: choose another name")
    if not name.isalnum() or name.lower() != name:
        raise ConfigError(f"datasets.{name}: a dataset's name has lower-case letters and digits")
    folder = read_folder(Path(raw["folder"]), raw.get("split", ""))
    train, unlabelled, test = (len(folder.of(split)) for split in SPLITS)
    DATASETS[name] = Dataset(
        name, raw.get("title", name), raw["size"], len(folder.classes), train, test, unlabelled,
        module="folder", decoded=True, root=raw["folder"], split=raw.get("split", ""),
        listing=folder.listing,
    )  # fmt: skip


def read_folder(root: Path, split: str) -> Folder:
    """The images below `root` by its sub-folders, or by the csv file `split` below it; DataError
    says what is missing or contradictory.
    """
    if not root.is_dir():
        raise DataError(f"{root} is no folder: put the images there, or correct 'folder'")
    found = sorted(_listed(root, split) if split else _walked(root), key=lambda i: i.file)
    folder = Folder(root, tuple(found))
    classes = {s: {image.label for image in folder.of(s)} for s in ("train", "test")}
    for ours, theirs in (("train", "test"), ("test", "train")):
        if not classes[ours]:
            raise DataError(f"{root} has no {ours} images: {ours}/<class>/<image>, or a csv file")
        if lacking := sorted(classes[ours] - classes[theirs]):
            raise DataError(
                f"{root}: no {theirs} image of class {', '.join(lacking[:9])}: add some"
            )
    return folder


def _walked(root: Path) -> Iterator[Image]:
    for split in SPLITS:
        for file in _files(root / split):
            words = file.relative_to(root).parts
            if split == "unlabelled":
                yield Image("/".join(words), split, "")
            elif len(words) < 3:
                raise DataError(f"{file} is of no class: move it to {root / split}/<class>/")
            else:
                yield Image("/".join(words), split, words[1])


def _files(folder: Path) -> Iterable[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not path.name.startswith("."):
            yield from _files(path) if path.is_dir() else (path,)


def _listed(root: Path, split: str) -> Iterator[Image]:
    path, seen = root / split, set()
    if not path.is_file():
        raise DataError(f"{path} does not exist: correct 'split', a csv file below the folder")
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.DictReader(file)
        if lacking := [c for c in COLUMNS if c not in (lines.fieldnames or ())]:
            raise DataError(f"{path}: no column {', '.join(lacking)}: it has to have {COLUMNS}")
        for line in lines:
            where, name = f"{path}:{lines.line_num}", line["file"] or ""
            if line["split"] not in SPLITS:
                raise DataError(f"{where}: split '{line['split']}' is none of {', '.join(SPLITS)}")
            if name.startswith("/") or ".." in PurePosixPath(name).parts or name in seen:
                raise DataError(f"{where}: '{name}' stands twice or leads out of {root}")
            if not (root / name).is_file():
                raise DataError(f"{where}: {root / name} does not exist")
            label = "" if line["split"] == "unlabelled" else line["class"]
            if not label and line["split"] != "unlabelled":
                raise DataError(f"{where}: '{name}' has no class")
            seen.add(name)
            yield Image(name, line["split"], label)
