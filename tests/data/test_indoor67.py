"""Indoor67 from a small tar and lists in the original form."""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from pictures import encode, flat, noise, tar, write

from patchvae.data import indoor67, store
from patchvae.data.decode import Item, decode
from patchvae.errors import DataError
from patchvae.study.registry import Dataset

SMALL = Dataset("indoor67", "small", 16, 2, 6, 4, unlabelled=3)
CLASSES = ("airport_inside", "bar")
TRAIN = [f"{name}/{k}.jpg" for name in CLASSES for k in range(3)]
TEST = [f"{name}/{k} a.jpg" for name in CLASSES for k in range(2)]
REST = ["airport_inside/c.jpg", "bar/d.JPG", "bar/e.jpg"]


def pictures() -> dict[str, bytes]:
    """By name; of many kinds, all but the extension."""
    made = {name: noise(k) for k, name in enumerate(TRAIN + TEST + REST)}
    made[TRAIN[1]] = encode(flat((9, 99, 199)), "GIF", "P")
    made[TRAIN[4]] = encode(flat((9, 99, 199)), "PNG")
    made[TEST[0]] = encode(flat((9, 99, 199)), "JPEG", "CMYK")
    made[REST[2]] = encode(flat((9, 99, 199)), "JPEG", "L")
    return made


def save(
    folder: Path,
    images: Mapping[str, bytes],
    train: list[str] = TRAIN,
    test: list[str] = TEST,
    **extra: bytes,
) -> None:
    members = {f"Images/{name}": content for name, content in images.items()}
    write(folder / indoor67.ARCHIVE, tar({**members, **extra}))
    write(folder / "TrainImages.txt", "\r\n".join(train).encode())
    write(folder / "TestImages.txt", ("\n".join(test) + "\n").encode())


def prepare(root: Path) -> store.Prepared:
    store.prepare(SMALL, root=root, workers=1)
    return store.open_dataset(SMALL, root)


def test_lists_and_the_rest(tmp_path: Path) -> None:
    downloads = tmp_path / "downloads/indoor67"
    save(downloads, pictures(), readme=b"text")
    lines: list[str] = []
    store.prepare(SMALL, root=tmp_path, report=lines.append, workers=2)
    assert any("also holds readme, which is no image of a class" in line for line in lines)
    prepared = store.open_dataset(SMALL, tmp_path)
    assert prepared.classes == list(CLASSES)
    for split, names in (("train", TRAIN), ("test", TEST), ("unlabelled", sorted(REST))):
        for pixels, name in zip(prepared.images(split), names, strict=True):
            path = write(tmp_path / "one", pictures()[name])
            assert (pixels == decode(Item(name, 0, str(path)), 16)).all()
    assert prepared.labels("train").tolist() == [0, 0, 0, 1, 1, 1]
    assert set(prepared.manifest["sources"]) == {p.name for p in downloads.glob("[iT]*")}
    assert not list(prepared.folder.glob("*.done"))


def test_the_first_files_are_insisted_on(tmp_path: Path) -> None:
    downloads = tmp_path / "downloads/indoor67"
    save(downloads, {**pictures(), TRAIN[0]: b"not yet whole"})
    with pytest.raises(DataError, match=r"1 images .*airport_inside/0\.jpg \(no image\)"):
        prepare(tmp_path)
    save(downloads, pictures())  # a failed attempt has recorded nothing
    first = prepare(tmp_path).digest
    (tmp_path / "indoor67/train.npy").unlink()
    save(downloads, {**pictures(), TRAIN[0]: noise(77)})
    with pytest.raises(DataError, match=r"indoorCVPR_09\.tar is not the file first used"):
        prepare(tmp_path)
    save(downloads, pictures())
    assert prepare(tmp_path).digest == first


def test_all_bad_images_of_all_splits_at_once(tmp_path: Path) -> None:
    images = pictures()
    bad = [TRAIN[3], TEST[3], REST[0]]
    save(tmp_path, {**images, **{name: images[name][:800] for name in bad}})
    with pytest.raises(DataError) as error:
        store.prepare(SMALL, tmp_path, tmp_path / "root", workers=1)
    assert error.value.exit_code == 3
    assert all(f"{name} (" in str(error.value) for name in bad)
    assert str(error.value).startswith("3 images")


def test_lists_that_contradict_the_archive(tmp_path: Path) -> None:
    def message() -> str:
        with pytest.raises(DataError) as error:
            store.prepare(SMALL, tmp_path, tmp_path / "root", workers=1)
        return str(error.value)

    (tmp_path / "TrainImages.txt").touch()
    assert "lacks indoorCVPR_09.tar, TestImages.txt: get them from https" in message()
    save(tmp_path, pictures(), train=[*TRAIN[1:], "bar/none.jpg"])
    assert "TrainImages.txt names 1 images twice or not in the archive: bar/none.jpg" in message()
    save(tmp_path, pictures(), train=[*TRAIN[1:], TRAIN[1]])
    assert "names 1 images twice or not in the archive" in message()
    save(tmp_path, pictures(), test=[*TEST[1:], TRAIN[0]])
    assert f"train and test list share {TRAIN[0]}" in message()
    save(tmp_path, pictures(), train=TRAIN[:-1])
    assert "has 5 train images, not 6" in message()
    images = {name.replace("bar/", "airport_inside/x"): c for name, c in pictures().items()}
    rename = [[n.replace("bar/", "airport_inside/x") for n in names] for names in (TRAIN, TEST)]
    save(tmp_path, images, *rename)
    assert "has 1 classes, not 2" in message()
    assert not (tmp_path / "root/indoor67").exists()


def test_a_class_without_training_images(tmp_path: Path) -> None:
    save(tmp_path, pictures(), train=TRAIN[:3])
    facts = replace(SMALL, train=3, unlabelled=6)
    with pytest.raises(DataError, match=r"train labels do not cover 0\.\.1"):
        store.prepare(facts, tmp_path, tmp_path / "root", workers=1)


def test_a_picture_that_stands_twice(tmp_path: Path) -> None:
    """The same twice is one picture; two under one name are no original archive."""

    def archive(again: bytes) -> None:
        save(tmp_path, pictures())
        with tarfile.open(tmp_path / "indoorCVPR_09.tar", "a") as file:
            info = tarfile.TarInfo(f"Images/{TRAIN[0]}")
            info.size = len(again)
            file.addfile(info, io.BytesIO(again))

    archive(pictures()[TRAIN[0]])
    store.prepare(SMALL, tmp_path, tmp_path / "root", workers=1)
    archive(noise(77))
    with pytest.raises(DataError, match=rf"holds 'Images/{TRAIN[0]}' twice, with different"):
        store.prepare(SMALL, tmp_path, tmp_path / "other", workers=1)
