"""Places205 from a small folder and csv files in the original layout."""

from pathlib import Path

import pytest
from pictures import noise, write

from patchvae.data import store
from patchvae.data.decode import Item, decode
from patchvae.errors import DataError
from patchvae.study.registry import Dataset

SMALL = Dataset("places205", "small", 16, 3, 9, 3)
FOLDERS = ("a/abbey", "a/apartment_building/outdoor", "y/yard")
TRAIN = [f"{folder}/gsun_{k}.jpg {label}" for k in range(3) for label, folder in enumerate(FOLDERS)]
TEST = [f"{folder}/val.jpg {label}" for label, folder in enumerate(FOLDERS)]


def save(source: Path, train: list[str], test: list[str], images: str, lists: str) -> None:
    for seed, line in enumerate(TRAIN + TEST):
        write(source / images / line.split(" ")[0], noise(seed))
    write(source / lists / "train_places205.csv", "\n".join(train).encode())
    write(source / lists / "val_places205.csv", ("\r\n".join(test) + "\r\n").encode())


@pytest.mark.parametrize(
    ("images", "lists"),
    [
        ("images256", "."),
        ("data/vision/torralba/deeplearning/images256", "trainvalsplit_places205"),
    ],
)
def test_both_layouts(tmp_path: Path, images: str, lists: str) -> None:
    source = tmp_path / "source"
    save(source, TRAIN, [line.replace(" ", ",") for line in TEST], images, lists)
    store.prepare(SMALL, source, tmp_path / "root", workers=1)
    prepared = store.open_dataset(SMALL, tmp_path / "root")
    assert prepared.classes == ["abbey", "apartment_building/outdoor", "yard"]
    assert prepared.labels("train").tolist() == [0, 1, 2] * 3
    for split, lines in (("train", TRAIN), ("test", TEST)):
        for pixels, line in zip(prepared.images(split), lines, strict=True):
            path = source / images / line.split(" ")[0]
            assert (pixels == decode(Item("", 0, str(path)), 16)).all()
    assert set(prepared.manifest["sources"]) == {"train_places205.csv", "val_places205.csv"}


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    def message(train: list[str] = TRAIN, test: list[str] = TEST) -> str:
        save(tmp_path, train, test, "images256", ".")
        with pytest.raises(DataError) as error:
            store.prepare(SMALL, tmp_path, tmp_path / "root", workers=1)
        return str(error.value)

    with pytest.raises(DataError, match=r"lacks train_places205\.csv, val_places205\.csv: get"):
        store.prepare(SMALL, root=tmp_path / "root")
    assert "has 8 train images, not 9" in message(train=TRAIN[1:])
    assert "has 4 test images, not 3" in message(test=TEST + TRAIN[:1])
    assert "train_places205.csv:9 is no `folder/image.jpg label`" in message([*TRAIN[1:], "a b"])
    for path in ("/etc/passwd", "../../etc/passwd"):
        assert "val_places205.csv:3 is no" in message(test=[*TEST[1:], f"{path} 0"])
    assert "label 2 to both y/yard and a/abbey" in message(test=[*TEST[:2], "a/abbey/x.jpg 2"])
    assert "has labels that are not 0..2" in message(
        train=[line.replace(" 0", " 3") for line in TRAIN]
    )
    missing = [*TRAIN[:2], "y/yard/none.jpg 2", *TRAIN[3:]]
    assert "1 images of 'places205' cannot be decoded: y/yard/none.jpg (missing)" in message(
        missing
    )


def test_without_images_folder(tmp_path: Path) -> None:
    save(tmp_path, TRAIN, TEST, "other", ".")
    with pytest.raises(DataError, match="lacks the folder images256"):
        store.prepare(SMALL, tmp_path, tmp_path / "root")
