"""A folder of images that a study declares; `study/folders.py` says what is in it.

The largest centred square of each is scaled to the size declared. The SHA-256 over the content of
all files is recorded with the prepared form.
"""

import hashlib
from pathlib import Path

from patchvae.data.decode import Item
from patchvae.data.filling import fill
from patchvae.data.writer import SPLITS, Writer
from patchvae.errors import DataError
from patchvae.study.digests import file_digest
from patchvae.study.folders import read_folder
from patchvae.study.registry import Dataset

FORM = 1
RESUMABLE = True


def prepare_into(
    facts: Dataset, source: Path | None, writer: Writer, workers: int | None = None
) -> None:
    """Decode every image; DataError when the folder changed since its study was read."""
    folder = read_folder(source or Path(facts.root), facts.split)
    if folder.listing != facts.listing:
        raise DataError(f"{folder.root} is not as '{facts.name}' was declared: run this again")
    content = hashlib.sha256()
    for image in folder.images:
        content.update(f"{image.file} {file_digest(folder.root / image.file)}\n".encode())
    writer.sources = {facts.root: f"sha256:{content.hexdigest()} (of all files)"}
    writer.classes = folder.classes
    label = {name: k for k, name in enumerate(folder.classes)} | {"": -1}
    splits = {
        split: [Item(i.file, label[i.label], str(folder.root / i.file)) for i in folder.of(split)]
        for split in SPLITS
        if writer.counts[split]
    }
    fill(writer, splits, workers=workers)
