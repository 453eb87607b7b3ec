"""CIFAR-100 (Krizhevsky, 2009) from the original `cifar-100-python.tar.gz`.

The archive is `source` (the file, or its folder) if given, else the one in the downloads folder or
in torchvision's cache at the data root; else torchvision downloads it. Its members are pickles:
nothing is unpickled before the archive's size and MD5 are the published ones.
"""

import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from patchvae.data.originals import check_md5, locate, require
from patchvae.data.writer import Writer
from patchvae.errors import DataError
from patchvae.study.registry import Dataset

FORM = 1
RESUMABLE = False
ARCHIVE = "cifar-100-python.tar.gz"
WHERE = "https://www.cs.toronto.edu/~kriz/cifar.html"
BYTES = 169_001_437


def prepare_into(
    facts: Dataset,
    source: Path | None,
    writer: Writer,
    md5: str | None = None,
    size: int = BYTES,
) -> None:
    """Import the archive; `md5` is torchvision's constant unless given."""
    from torchvision.datasets import CIFAR100

    archive = _archive(source, writer)
    writer.sources[ARCHIVE] = check_md5(archive, md5 or CIFAR100.tgz_md5, size)
    with tarfile.open(archive) as tar:
        writer.classes = list(_member(tar, "meta")["fine_label_names"])
        for split in ("train", "test"):
            batch = _member(tar, split)
            pixels = batch["data"].reshape(-1, 3, facts.size, facts.size)
            writer.images(split, len(pixels))
            writer.labels(split, batch["fine_labels"])
            writer.put(split, 0, np.moveaxis(pixels, 1, 3))
            writer.report(f"{facts.name}: {len(pixels)} {split} images from {archive}")


def _member(tar: tarfile.TarFile, name: str) -> dict[str, Any]:
    file = tar.extractfile(f"cifar-100-python/{name}")
    assert file is not None  # the digest of the archive was checked
    return pickle.load(file, encoding="latin1")


def _archive(source: Path | None, writer: Writer) -> Path:
    if source is not None:
        return source if source.is_file() else require([ARCHIVE], source, WHERE) / ARCHIVE
    downloads = writer.downloads
    folder = locate([ARCHIVE], (downloads, downloads.parent.parent))
    return (folder or _download(downloads)) / ARCHIVE


def _download(downloads: Path) -> Path:
    from torchvision.datasets import CIFAR100
    from torchvision.datasets.utils import download_url

    try:
        download_url(CIFAR100.url, downloads, ARCHIVE, CIFAR100.tgz_md5)
    except (RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(
            f"CIFAR-100 cannot be downloaded ({reason}): put {ARCHIVE} from {WHERE} "
            f"into {downloads}"
        ) from None
    return downloads
