"""ImageNet from class folders and from small archives in the original format."""

import gzip
import hashlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pictures import noise, tar, write
from scipy.io import savemat

from patchvae.data import imagenet, store
from patchvae.data.decode import Item, decode
from patchvae.errors import DataError
from patchvae.study.registry import Dataset

SMALL = Dataset("imagenet", "small", 16, 3, 6, 4)
IDS = ("n01440764", "n01443537", "n15075141")
TRAIN = {
    f"{id_}/{id_}_{k}.JPEG": noise(10 * k + len(id_) + int(id_[-1])) for id_ in IDS for k in (1, 2)
}
VALIDATION = [(2, noise(1)), (0, noise(2)), (1, noise(3)), (0, noise(4))]  # label, image


def devkit() -> bytes:
    """Leaf synsets numbered in another order than their ids sort in, and one that is no leaf."""
    synsets = np.zeros(4, [(n, object) for n in ("ILSVRC2012_ID", "WNID", "words", "num_children")])
    for row, (number, id_, children) in enumerate([(1, 1, 0), (2, 2, 0), (3, 0, 0), (4, 0, 2)]):
        synsets[row] = (number, IDS[id_] if children == 0 else "n00001740", "words", children)
    mat = BytesIO()
    savemat(mat, {"synsets": synsets})
    number = {1: 1, 2: 2, 0: 3}
    truth = "".join(f"{number[label]}\n" for label, _ in VALIDATION)
    folder = "ILSVRC2012_devkit_t12/data"
    members = {"meta.mat": mat.getvalue(), "ILSVRC2012_validation_ground_truth.txt": truth.encode()}
    return gzip.compress(tar({f"{folder}/{name}": content for name, content in members.items()}))


def archives(source: Path) -> dict[str, str]:
    """The three archives; their MD5 by name."""
    inner = {
        f"{id_}.tar": tar({n.split("/")[1]: c for n, c in TRAIN.items() if n.startswith(id_)})
        for id_ in reversed(IDS)
    }
    validation = {f"ILSVRC2012_val_{k:08}.JPEG": c for k, (_, c) in enumerate(VALIDATION, 1)}
    content = {
        imagenet.TRAIN: tar(inner),
        imagenet.VAL: tar(dict(reversed(validation.items()))),
        imagenet.DEVKIT: devkit(),
    }
    for name, data in content.items():
        write(source / name, data)
    return {name: hashlib.md5(data).hexdigest() for name, data in content.items()}


def folders(source: Path) -> None:
    for name, content in TRAIN.items():
        write(source / "train" / name, content)
    for k, (label, content) in enumerate(VALIDATION):
        write(source / "val" / IDS[label] / f"{k}.JPEG", content)


def pixels(tmp_path: Path, content: bytes) -> np.ndarray:
    return decode(Item("", 0, str(write(tmp_path / "one", content))), 16, imagenet.MARGIN)


def test_archives_are_read_in_place(tmp_path: Path) -> None:
    md5 = archives(tmp_path / "source")
    store.prepare(SMALL, tmp_path / "source", tmp_path, workers=1, md5=md5)
    prepared = store.open_dataset(SMALL, tmp_path)
    assert prepared.classes == list(IDS)
    assert prepared.labels("train").tolist() == [0, 0, 1, 1, 2, 2]
    assert prepared.labels("test").tolist() == [label for label, _ in VALIDATION]
    for row, name in zip(prepared.images("train"), sorted(TRAIN), strict=True):
        assert (row == pixels(tmp_path, TRAIN[name])).all()
    for row, (_, content) in zip(prepared.images("test"), VALIDATION, strict=True):
        assert (row == pixels(tmp_path, content)).all()
    assert len(list((tmp_path / "source").iterdir())) == 3
    assert prepared.manifest["sources"] == {name: f"md5:{d}" for name, d in md5.items()}


def test_class_folders_give_the_same_training_images(tmp_path: Path) -> None:
    folders(tmp_path / "a")
    store.prepare(SMALL, tmp_path / "a", tmp_path / "one", workers=1)
    of_folders = store.open_dataset(SMALL, tmp_path / "one")
    assert of_folders.labels("test").tolist() == [0, 0, 1, 2]
    md5 = archives(tmp_path / "b")
    (tmp_path / "a/val").rename(tmp_path / "b/val")  # one split of each kind
    store.prepare(SMALL, tmp_path / "b", tmp_path / "two", workers=1, md5=md5)
    mixed = store.open_dataset(SMALL, tmp_path / "two")
    for split in ("train", "test"):
        assert (of_folders.images(split) == mixed.images(split)).all()


def refusal(source: Path, md5: Mapping[str, str] | None = None) -> str:
    with pytest.raises(DataError) as error:
        store.prepare(SMALL, source, source / "root", workers=1, md5=md5)
    return str(error.value)


def test_missing_and_other_archives(tmp_path: Path) -> None:
    assert f"lacks {imagenet.TRAIN}, {imagenet.VAL}, {imagenet.DEVKIT}: get" in refusal(tmp_path)
    md5 = archives(tmp_path)
    assert f"{imagenet.TRAIN} is not the published file (MD5 differs)" in refusal(tmp_path)
    assert "MD5 differs" in refusal(tmp_path, {**md5, imagenet.DEVKIT: "0" * 32})
    write(tmp_path / imagenet.VAL, tar({"ILSVRC2012_val_00000001.JPEG": noise(0)}))
    md5[imagenet.VAL] = hashlib.md5((tmp_path / imagenet.VAL).read_bytes()).hexdigest()
    assert "labels 4 images and ILSVRC2012_img_val.tar holds 1" in refusal(tmp_path, md5)


def test_folders_that_are_not_the_classes(tmp_path: Path) -> None:
    folders(tmp_path)
    write(tmp_path / "val/n02/x.JPEG", noise(0))
    assert "differ in class folders (first: n02)" in refusal(tmp_path)
    (tmp_path / "val/n02").rename(tmp_path / "train/n02")
    assert "differ in class folders" in refusal(tmp_path)
    (tmp_path / "train/n02/x.JPEG").rename(tmp_path / "val" / IDS[0] / "x.JPEG")
    (tmp_path / "train/n02").rmdir()
    assert "has 5 test images, not 4" in refusal(tmp_path)
    write(tmp_path / "val" / IDS[0] / "x.JPEG", b"text")
    (tmp_path / "val" / IDS[0] / "3.JPEG").unlink()
    assert f"1 images of 'imagenet' cannot be decoded: {IDS[0]}/x.JPEG (no image)" in refusal(
        tmp_path
    )
