"""CIFAR-100 from a small archive in the original format."""

import hashlib
import io
import pickle
import tarfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from urllib.error import URLError

import numpy as np
import pytest

from patchvae.data import cifar100
from patchvae.data.writer import Writer
from patchvae.errors import DataError
from patchvae.study.registry import Dataset

SMALL = Dataset("cifar100", "small", 32, 4, 12, 8)
Make = Callable[[Dataset], Writer]


def batch(count: int, seed: int) -> dict[str, object]:
    data = np.random.default_rng(seed).integers(0, 256, (count, 3_072), np.uint8)
    labels = [k % 4 for k in range(count)]
    return {"data": data, "fine_labels": labels, "coarse_labels": [0] * count, "filenames": []}


def pickled(value: object) -> bytes:
    """As by Python 2 with the numpy of 2009."""
    return pickle.dumps(value, 2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def archive(path: Path, **members: object) -> dict[str, object]:
    """Write the archive; its size and digest as `prepare_into` takes them."""
    members = {
        "meta": {"fine_label_names": ["apple", "bear", "cloud", "dog"]},
        "train": batch(12, 0),
        "test": batch(8, 1),
        **members,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, value in members.items():
            content = pickled(value)
            info = tarfile.TarInfo(f"cifar-100-python/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    content = path.read_bytes()
    return {"md5": hashlib.md5(content).hexdigest(), "size": len(content)}


def test_pixels_and_labels_are_exact(writer_for: Make, tmp_path: Path) -> None:
    facts = archive(tmp_path / cifar100.ARCHIVE)
    for source in (tmp_path, tmp_path / cifar100.ARCHIVE):
        writer = writer_for(SMALL)
        cifar100.prepare_into(SMALL, source, writer, **facts)
        writer.check()
        images = np.load(writer.path("test"))
        raw = batch(8, 1)["data"]
        assert isinstance(raw, np.ndarray)
        assert images[5, 3, 7].tolist() == [raw[5, 1_024 * c + 32 * 3 + 7] for c in range(3)]
        assert (images.transpose(0, 3, 1, 2).reshape(8, -1) == raw).all()
        assert np.load(writer.path("train_labels")).tolist() == [0, 1, 2, 3] * 3
        assert writer.classes == ["apple", "bear", "cloud", "dog"]


@pytest.mark.parametrize("place", ["", "../.."])
def test_found_without_a_source(writer_for: Make, place: str) -> None:
    writer = writer_for(SMALL)
    facts = archive(writer.downloads / place / cifar100.ARCHIVE)
    cifar100.prepare_into(SMALL, None, writer, **facts)
    writer.check()


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_nothing_is_unpickled_before_size_and_digest_are_the_published_ones(
    writer_for: Make, tmp_path: Path
) -> None:
    went_off = tmp_path / "went off"
    path = tmp_path / cifar100.ARCHIVE
    facts = archive(path, meta=Bomb(went_off), train=Bomb(went_off))
    with pytest.raises(DataError, match="bytes, the published file 169001437"):
        cifar100.prepare_into(SMALL, tmp_path, writer_for(SMALL))
    with pytest.raises(DataError, match="MD5 differs"):
        cifar100.prepare_into(SMALL, tmp_path, writer_for(SMALL), size=path.stat().st_size)
    assert not went_off.exists()
    with pytest.raises(TypeError):  # told that this is the right archive, it does read it
        cifar100.prepare_into(SMALL, tmp_path, writer_for(SMALL), **facts)
    assert went_off.exists()


def test_a_truncated_archive_is_named(writer_for: Make, tmp_path: Path) -> None:
    path = tmp_path / cifar100.ARCHIVE
    facts = archive(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"cifar-100-python\.tar\.gz has \d+ bytes"):
        cifar100.prepare_into(SMALL, path, writer_for(SMALL), **facts)


def test_wrong_counts_fail(writer_for: Make, tmp_path: Path) -> None:
    facts = archive(tmp_path / cifar100.ARCHIVE, train=batch(13, 0))
    writer = writer_for(SMALL)
    cifar100.prepare_into(SMALL, tmp_path, writer, **facts)
    with pytest.raises(DataError, match="13 train images, not 12"):
        writer.check()


def test_without_network_it_says_which_file_to_put_where(
    writer_for: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    writer = writer_for(SMALL)
    with pytest.raises(DataError, match=f"put cifar-100-python.tar.gz .* into {writer.downloads}"):
        cifar100.prepare_into(SMALL, None, writer)
    with pytest.raises(DataError, match=f"{tmp_path} lacks cifar-100-python.tar.gz"):
        cifar100.prepare_into(SMALL, tmp_path, writer)
