"""Fashion-MNIST (Xiao et al., 2017): 28 x 28 grey, zero-padded to 32 x 32, three equal channels.

The four original `*-ubyte.gz` files are taken from `source` if given, else from the downloads
folder, torchvision's cache under it or under the data root, or Debian's package
`dataset-fashion-mnist`; else torchvision downloads them. Debian packed them anew, so that the
digests below are of the unpacked content.
"""

import gzip
import hashlib
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from patchvae.data.originals import locate, require
from patchvae.data.writer import Writer
from patchvae.errors import DataError
from patchvae.study.registry import Dataset

FORM = 1
RESUMABLE = False
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
CACHE = Path("FashionMNIST/raw")  # torchvision's
WHERE = "https://github.com/zalandoresearch/fashion-mnist"
SHA256 = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",  # noqa: E501
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",  # noqa: E501
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
PREFIX = {"train": "train", "test": "t10k"}
IMAGES, LABELS = 2051, 2049  # magic numbers of the idx format: uint8, 3 axes or 1
LARGEST = 16 + 60_000 * 28 * 28  # bytes of the largest of the four, unpacked: no more is read
CHUNK = 5_000


def prepare_into(
    facts: Dataset, source: Path | None, writer: Writer, sha256: Mapping[str, str] = SHA256
) -> None:
    """Import the four files; `sha256` is of each file's unpacked content."""
    from torchvision.datasets import FashionMNIST

    folder = _folder(source, writer)
    writer.classes = list(FashionMNIST.classes)
    writer.sources = {name: f"sha256:{digest} (unpacked)" for name, digest in sha256.items()}
    for split, prefix in PREFIX.items():
        images, labels = (
            _read(folder / f"{prefix}-{kind}-ubyte.gz", magic, sha256)
            for kind, magic in (("images-idx3", IMAGES), ("labels-idx1", LABELS))
        )
        writer.images(split, len(images))
        writer.labels(split, labels)
        for start in range(0, len(images), CHUNK):
            writer.put(split, start, _frame(images[start : start + CHUNK], facts.size))
        writer.report(f"{facts.name}: {len(images)} {split} images from {folder}")


def _folder(source: Path | None, writer: Writer) -> Path:
    names = list(SHA256)
    if source is not None:
        return require(names, source, WHERE)
    downloads = writer.downloads
    cache = downloads / CACHE
    places = (downloads, cache, downloads.parent.parent / CACHE, DEBIAN)
    return locate(names, places) or _download(downloads)


def _download(downloads: Path) -> Path:
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(str(downloads), download=True)
    except (RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(
            f"Fashion-MNIST cannot be downloaded ({reason}): put the four files "
            f"from {WHERE} into {downloads}"
        ) from None
    return downloads / CACHE


def _read(path: Path, magic: int, sha256: Mapping[str, str]) -> np.ndarray:
    """The uint8 array of a gzip'd idx file; the low byte of its magic number counts the axes."""
    mend = "delete it and fetch it again"
    try:
        with gzip.open(path) as file:
            data = file.read(LARGEST + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} cannot be unpacked ({error}): {mend}") from None
    if len(data) > LARGEST:
        raise DataError(f"{path} is not the published file (unpacks to more than that): {mend}")
    if hashlib.sha256(data).hexdigest() != sha256[path.name]:
        raise DataError(f"{path} is not the published file (SHA-256 differs): {mend}")
    header = 4 * (1 + magic % 256)
    found, *shape = np.frombuffer(data[:header], ">i4").tolist()
    if found != magic or header + math.prod(shape) != len(data):
        raise DataError(f"{path} contradicts its idx header (magic {magic}, counts): {mend}")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def _frame(images: np.ndarray, size: int) -> np.ndarray:
    """n x h x w -> n x size x size x 3: centred on black, equal channels."""
    n, h, w = images.shape
    top, left = (size - h) // 2, (size - w) // 2
    framed = np.zeros((n, size, size, 3), np.uint8)
    framed[:, top : top + h, left : left + w] = images[..., None]
    return framed
