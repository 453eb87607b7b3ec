"""Fashion-MNIST from small files in the original idx format, and the real ones if installed."""

import gzip
import hashlib
import resource
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn
from urllib.error import URLError

import numpy as np
import pytest

from patchvae.data import fashionmnist, store
from patchvae.data.writer import Writer
from patchvae.errors import DataError
from patchvae.study.registry import Dataset

SMALL = Dataset("fashionmnist", "small", 32, 10, 30, 20)
Make = Callable[[Dataset], Writer]


def idx(array: np.ndarray, magic: int) -> bytes:
    return np.array([magic, *array.shape], ">i4").tobytes() + array.astype(np.uint8).tobytes()


def save(folder: Path, contents: Mapping[str, bytes]) -> dict[str, str]:
    """Write gzip files; SHA-256 of their contents by name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(gzip.compress(content))
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def originals(train: int = 30, test: int = 20) -> dict[str, bytes]:
    rng, contents = np.random.default_rng(0), {}
    for prefix, n in (("train", train), ("t10k", test)):
        contents[f"{prefix}-images-idx3-ubyte.gz"] = idx(rng.integers(0, 256, (n, 28, 28)), 2051)
        contents[f"{prefix}-labels-idx1-ubyte.gz"] = idx(np.arange(n) % 10, 2049)
    return contents


def test_pixels_and_labels_are_exact(writer_for: Make, tmp_path: Path) -> None:
    contents = originals()
    sha256 = save(tmp_path / "given", contents)
    writer = writer_for(SMALL)
    fashionmnist.prepare_into(SMALL, tmp_path / "given", writer, sha256)
    writer.check()
    images = np.load(writer.path("train"))
    raw = np.frombuffer(contents["train-images-idx3-ubyte.gz"][16:], np.uint8).reshape(30, 28, 28)
    for channel in range(3):
        assert (images[:, 2:30, 2:30, channel] == raw).all()
    images[:, 2:30, 2:30] = 0
    assert not images.any()
    assert (np.load(writer.path("test_labels")) == np.arange(20) % 10).all()
    assert writer.classes[9] == "Ankle boot"
    assert set(writer.sources) == set(contents)


@pytest.mark.parametrize("place", ["", "FashionMNIST/raw", "../../FashionMNIST/raw"])
def test_found_without_a_source(writer_for: Make, place: str) -> None:
    writer = writer_for(SMALL)
    sha256 = save(writer.downloads / place, originals())
    fashionmnist.prepare_into(SMALL, None, writer, sha256)
    writer.check()


def test_damaged_files_are_named(writer_for: Make, tmp_path: Path) -> None:
    name, folder = "t10k-images-idx3-ubyte.gz", tmp_path / "given"
    sha256 = save(folder, originals())
    whole = (folder / name).read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    for content in (whole[:-100], bytes(damaged), b"<html>not found</html>", b""):
        (folder / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"{name} (cannot be unpacked|is not the published)"):
            fashionmnist.prepare_into(SMALL, folder, writer_for(SMALL), sha256)
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"lacks {name}: get them from https"):
        fashionmnist.prepare_into(SMALL, folder, writer_for(SMALL), sha256)


def test_a_gzip_bomb_is_refused_before_it_is_unpacked(writer_for: Make, tmp_path: Path) -> None:
    """1 GB of zeros in 5 MB: what a process takes at its peak grows by far less."""
    name, folder = "train-images-idx3-ubyte.gz", tmp_path / "given"
    sha256 = save(folder, originals())
    with gzip.open(folder / name, "wb", compresslevel=1) as file:
        for _ in range(1024):
            file.write(bytes(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=rf"{name} is not the published file \(unpacks to more"):
        fashionmnist.prepare_into(SMALL, folder, writer_for(SMALL), sha256)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10  # KiB


def test_other_content_than_the_published_is_refused(writer_for: Make, tmp_path: Path) -> None:
    save(tmp_path, originals())
    with pytest.raises(DataError, match=r"is not the published file \(SHA-256 differs\)"):
        fashionmnist.prepare_into(SMALL, tmp_path, writer_for(SMALL))


@pytest.mark.parametrize("shape", [(30, 28, 27), (31, 28, 28)])
def test_a_header_that_contradicts_the_bytes(
    writer_for: Make, tmp_path: Path, shape: tuple[int, int, int]
) -> None:
    contents = originals()
    pixels = contents["train-images-idx3-ubyte.gz"][16:]
    lie = np.array([2051, *shape], ">i4").tobytes()
    sha256 = save(tmp_path, {**contents, "train-images-idx3-ubyte.gz": lie + pixels})
    with pytest.raises(DataError, match="contradicts its idx header"):
        fashionmnist.prepare_into(SMALL, tmp_path, writer_for(SMALL), sha256)
    sha256 = save(tmp_path, {**contents, "train-images-idx3-ubyte.gz": idx(np.zeros(9), 2049)})
    with pytest.raises(DataError, match="contradicts its idx header"):
        fashionmnist.prepare_into(SMALL, tmp_path, writer_for(SMALL), sha256)


def test_without_network_it_says_which_files_to_put_where(
    writer_for: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(fashionmnist, "DEBIAN", Path("/nowhere"))
    writer = writer_for(SMALL)
    with pytest.raises(
        DataError, match=f"cannot be downloaded .*no network.*into {writer.downloads}"
    ):
        fashionmnist.prepare_into(SMALL, None, writer)


@pytest.mark.needs("/usr/share/datasets/fashion-mnist")
def test_the_real_one(tmp_path: Path) -> None:
    from torchvision.datasets import FashionMNIST

    store.prepare("fashionmnist", root=tmp_path)
    prepared = store.open_dataset("fashionmnist", tmp_path)
    assert (np.bincount(prepared.labels("train")) == 6_000).all()
    assert (np.bincount(prepared.labels("test")) == 1_000).all()
    raw = tmp_path / "FashionMNIST/raw"  # the same files by torchvision's reader
    raw.mkdir(parents=True)
    for name in fashionmnist.SHA256:
        content = gzip.decompress((fashionmnist.DEBIAN / name).read_bytes())
        (raw / name.removesuffix(".gz")).write_bytes(content)
    theirs = FashionMNIST(str(tmp_path), train=False)
    assert (prepared.images("test")[:, 2:30, 2:30, 1] == theirs.data.numpy()).all()
    assert (prepared.labels("test") == theirs.targets.numpy()).all()
