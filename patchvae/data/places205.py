"""Places205 (Zhou et al., 2014): the original images folder and the csv files of its splits.

The source folder holds the two csv files (lines `a/abbey/x.jpg 0`), at its top or in
`trainvalsplit_places205/`, and the images in `images256/`, at its top or where the original archive
unpacks them. They are decoded once to 64 x 64.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from patchvae.data.decode import Item
from patchvae.data.filling import fill
from patchvae.data.originals import locate, require
from patchvae.data.writer import Writer
from patchvae.errors import DataError
from patchvae.study.digests import file_digest
from patchvae.study.registry import Dataset

FORM = 1
RESUMABLE = True
LISTS = {"train": "train_places205.csv", "test": "val_places205.csv"}
LISTS_FOLDERS = (".", "trainvalsplit_places205")
IMAGES_FOLDERS = ("images256", "data/vision/torralba/deeplearning/images256")
WHERE = "http://places.csail.mit.edu/downloadData.html"
LINE = re.compile(r"(.+)[ ,](\d+)")


def prepare_into(
    facts: Dataset, source: Path | None, writer: Writer, workers: int | None = None
) -> None:
    """Decode the images that the csv files list.

    The published validation images are the test ones.
    """
    source = source or writer.downloads
    names = list(LISTS.values())
    lists = locate(names, (source / f for f in LISTS_FOLDERS)) or require(names, source, WHERE)
    images = next((source / f for f in IMAGES_FOLDERS if (source / f).is_dir()), None)
    if images is None:
        raise DataError(f"{source} lacks the folder images256: get it from {WHERE}")
    writer.sources = {name: f"sha256:{file_digest(lists / name)}" for name in names}
    writer.classes = _classes(writer, lists)
    fill(writer, {s: _items(lists / name, images) for s, name in LISTS.items()}, workers=workers)


def _classes(writer: Writer, lists: Path) -> list[str]:
    """Names by label: `abbey` for `a/abbey`.

    DataError unless counts fit and each has one folder.
    """
    folders: dict[int, str] = {}
    for split, name in LISTS.items():
        count = 0
        for item in _items(lists / name, Path()):
            folder = str(PurePosixPath(item.name).parent)
            if folders.setdefault(item.label, folder) != folder:
                raise DataError(
                    f"{lists / name} gives label {item.label} to both {folders[item.label]} and "
                    f"{folder}: fetch it again"
                )
            count += 1
        if count != writer.counts[split]:
            writer.wrong(f"{count} {split} images, not {writer.counts[split]}")
    if sorted(folders) != list(range(writer.facts.classes)):
        writer.wrong(f"labels that are not 0..{writer.facts.classes - 1}")
    return [folders[label].partition("/")[2] or folders[label] for label in sorted(folders)]


def _items(csv: Path, images: Path) -> Iterator[Item]:
    with csv.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            match = LINE.fullmatch(line.strip())
            if (
                match is None
                or PurePosixPath(match[1]).is_absolute()
                or ".." in match[1].split("/")
            ):
                raise DataError(f"{csv}:{number} is no `folder/image.jpg label`: fetch it again")
            yield Item(match[1], int(match[2]), str(images / match[1]))
