"""Folders of images that a study declares: found, counted, prepared; a change is noticed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_study import edit_study, forget_configs

from patchvae.data.store import open_dataset, prepare
from patchvae.errors import ConfigError, DataError
from patchvae.study.config import find_dataset, load_study
from patchvae.study.sources import prepare_source

COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255)}


def paint(path: Path, colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (50, 40), colour).save(path)


def declare(folder: str = "photos", more: str = "") -> None:
    edit_study(
        "  parts32: {train", f"  photos: {{folder: {folder}, size: 32{more}}}\n  parts32: {{train"
    )


@pytest.fixture
def photos(project: Path) -> Path:
    """Three images of each of two classes to train on, one to test with, one without a label."""
    root = project / "photos"
    for name, colour in COLOURS.items():
        for split, count in (("train", 3), ("test", 1)):
            for k in range(count):
                paint(root / split / name / f"{k}.png", colour)
    paint(root / "unlabelled" / "deep" / "x.png", (0, 255, 0))
    (root / "train" / ".hidden").write_text("")
    return root


def test_a_folder_is_counted_and_prepared(photos: Path) -> None:
    declare()
    facts = find_dataset("photos")
    assert (facts.classes, facts.train, facts.unlabelled, facts.test) == (2, 6, 1, 2)
    assert load_study("tiny").limit("photos", "train") is None
    prepare("photos", workers=1)
    data = open_dataset("photos")
    assert data.classes == ["blue", "red"]
    assert data.labels("train").tolist() == [0, 0, 0, 1, 1, 1]
    expected = [COLOURS[data.classes[k]] for k in data.labels("train")]
    np.testing.assert_array_equal(data.images("train")[:, 16, 16], expected)
    assert data.images("unlabelled").shape == (1, 32, 32, 3)


def test_a_csv_file_splits_as_sub_folders_do(photos: Path) -> None:
    lines = ["file,split,class"]
    for k, path in enumerate(sorted(photos.rglob("*.png"))):
        path.rename(photos / f"{k}.png")
        words = path.relative_to(photos).parts
        lines.append(f"{k}.png,{words[0]},{words[1]}")
    (photos / "split.csv").write_text("\n".join(lines) + "\n")
    declare(more=", split: split.csv")
    prepare("photos", workers=1)
    assert open_dataset("photos").labels("train").tolist() == [0, 0, 0, 1, 1, 1]
    assert open_dataset("photos").classes == ["blue", "red"]


@pytest.mark.parametrize("change", ["added", "removed", "replaced"])
def test_a_changed_folder_is_noticed_and_prepared_anew(photos: Path, change: str) -> None:
    declare()
    before, source = prepare("photos", workers=1), prepare_source("photos")
    path = photos / "train" / "red" / "1.png"
    if change == "removed":
        path.unlink()
    else:
        Image.fromarray(np.arange(4800, dtype=np.uint8).reshape(40, 40, 3)).save(
            path if change == "replaced" else path.with_name("9.png")
        )
    forget_configs()
    assert prepare_source("photos") != source
    with pytest.raises(DataError, match="photos has changed since 'photos' was prepared: run"):
        open_dataset("photos")
    after = prepare("photos", workers=1)
    assert after["digest"] != before["digest"]
    assert open_dataset("photos").digest == after["digest"]


def test_the_same_images_elsewhere_are_the_same_dataset(photos: Path) -> None:
    declare()
    digest = prepare("photos", workers=1)["digest"]
    for path in photos.rglob("*.png"):
        path.touch()
    forget_configs()
    assert open_dataset("photos").digest == digest


def remove_class(root: Path) -> None:
    for path in (root / "test" / "red").iterdir():
        path.unlink()


def test_errors_say_what_and_where(photos: Path) -> None:
    declare(folder="nowhere")
    with pytest.raises(DataError, match="nowhere is no folder: put the images there"):
        load_study("tiny")
    edit_study("folder: nowhere", "folder: photos")
    (photos / "train" / "lost.png").write_text("")
    with pytest.raises(DataError, match=r"lost\.png is of no class: move it to"):
        load_study("tiny")
    (photos / "train" / "lost.png").unlink()
    remove_class(photos)
    with pytest.raises(DataError, match="no test image of class red: add some"):
        load_study("tiny")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x.png,train", "has no class"),
        ("../x.png,train,red", "leads out of"),
        ("/x.png,train,red", "leads out of"),
        ("y.png,train,red", "y.png does not exist"),
        ("x.png,valid,red", "split 'valid' is none of train, unlabelled, test"),
        ("x.png,train,red\nx.png,test,red", ":3: 'x.png' stands twice"),
        ("x.png,train,red", "no test image of class red"),
    ],
)
def test_a_wrong_line_of_a_csv_file_is_named(photos: Path, line: str, message: str) -> None:
    paint(photos / "x.png", (0, 0, 0))
    (photos / "s.csv").write_text(f"file,split,class\n{line}\n")
    declare(more=", split: s.csv")
    with pytest.raises(DataError, match=message):
        load_study("tiny")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("photos: {folder", "cifar100: {folder", "datasets.cifar100: the suite has one"),
        ("photos: {folder", "my-photos: {folder", "my-photos: a dataset's name has lower-case"),
        (", size: 32", "", "'size' is a dependency of 'folder'"),
        ("size: 32", "size: 33", "33 is not a multiple of 32"),
    ],
)
def test_a_wrong_declaration_is_refused(photos: Path, old: str, new: str, message: str) -> None:
    declare()
    edit_study(old, new)
    with pytest.raises(ConfigError, match=message):
        load_study("tiny")
