"""ImageNet (ILSVRC 2012) at 224 x 224: class folders, or the official archives read in place.

For each split the source has either a folder (`train`, `val`) of one folder a class, named by its
WordNet id, or the official archive; the validation archive needs the devkit's list of labels too.
Classes are the sorted WordNet ids. The shorter side becomes 256 pixels and the centre 224 x 224 is
kept, once for all epochs: what evaluation sees, since the paper names no random crops (A10).
"""

import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from patchvae.data.decode import Item
from patchvae.data.filling import fill
from patchvae.data.originals import check_md5, require
from patchvae.data.tars import regular_files
from patchvae.data.writer import Writer
from patchvae.errors import DataError
from patchvae.study.registry import Dataset

FORM = 1
RESUMABLE = True
MARGIN = 1 / 16  # cut off at each edge: (256 - 224) / 2 of 256
FOLDERS = {"train": "train", "test": "val"}
TRAIN, VAL, DEVKIT = (
    f"ILSVRC2012_{name}" for name in ("img_train.tar", "img_val.tar", "devkit_t12.tar.gz")
)
WHERE = "https://image-net.org/challenges/LSVRC/2012/2012-downloads.php"


def prepare_into(
    facts: Dataset,
    source: Path | None,
    writer: Writer,
    workers: int | None = None,
    md5: Mapping[str, str] | None = None,
) -> None:
    """Decode both splits; `md5` of the archives by name is torchvision's list unless given."""
    source = source or writer.downloads
    archived = {split: not (source / folder).is_dir() for split, folder in FOLDERS.items()}
    names = [TRAIN] * archived["train"] + [VAL, DEVKIT] * archived["test"]
    require(names, source, f"{WHERE} (or give folders train and val of class folders)")
    for name in names:
        writer.report(f"{name}: checking its MD5")
        writer.sources[name] = check_md5(source / name, (md5 or _published())[name])
    if archived["train"]:
        members = sorted(regular_files(source / TRAIN), key=lambda member: member.name)
        writer.classes = [PurePosixPath(member.name).stem for member in members]
        train = _nested(source / TRAIN, members)
    else:
        writer.classes = _subfolders(source / "train")
        train = _from_folders(source / "train", writer.classes)
    if archived["test"]:
        test: Iterable[Item] = _validation(source, writer.classes)
    else:
        test = _val_folders(source / "val", writer.classes)
    fill(writer, {"train": train, "test": test}, MARGIN, workers)


def _published() -> dict[str, str]:
    from torchvision.datasets.imagenet import ARCHIVE_META

    return dict(ARCHIVE_META.values())


def _subfolders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def _val_folders(folder: Path, classes: list[str]) -> Iterator[Item]:
    found = _subfolders(folder)
    if found != classes:
        different = ", ".join(sorted(set(found) ^ set(classes))[:5]) or "none"
        raise DataError(
            f"{folder} and the training images differ in class folders (first: {different}): "
            "sort the validation images into a folder for each class"
        )
    return _from_folders(folder, classes)


def _from_folders(folder: Path, classes: list[str]) -> Iterator[Item]:
    for label, name in enumerate(classes):
        for path in sorted((folder / name).iterdir()):
            yield Item(f"{name}/{path.name}", label, str(path))


def _nested(archive: Path, classes: list[tarfile.TarInfo]) -> Iterator[Item]:
    """Images of the tars, one a class, inside the archive."""
    with tarfile.open(archive, "r:") as outer:
        for label, info in enumerate(classes):
            inner = regular_files(archive, outer.extractfile(info))
            for member in sorted(inner, key=lambda member: member.name):
                start = info.offset_data + member.offset_data
                yield Item(member.name, label, str(archive), start, member.size)


def _validation(source: Path, classes: list[str]) -> list[Item]:
    members = sorted(regular_files(source / VAL), key=lambda member: member.name)
    ids = _ground_truth(source / DEVKIT)
    if len(ids) != len(members) or not set(ids) <= set(classes):
        raise DataError(
            f"{DEVKIT} labels {len(ids)} images and {VAL} holds {len(members)}, or a label is no "
            "class of the training images: fetch both again"
        )
    label = {name: k for k, name in enumerate(classes)}
    return [
        Item(m.name, label[id_], str(source / VAL), m.offset_data, m.size)
        for m, id_ in zip(members, ids, strict=True)
    ]


def _ground_truth(devkit: Path) -> list[str]:
    """WordNet ids of the validation images, in the order of their names."""
    from scipy.io import loadmat

    with tarfile.open(devkit) as tar:
        synsets = loadmat(io.BytesIO(_member(tar, "meta.mat")), squeeze_me=True)["synsets"]
        numbers = _member(tar, "ILSVRC2012_validation_ground_truth.txt").split()
    wordnet = {int(s["ILSVRC2012_ID"]): str(s["WNID"]) for s in synsets if s["num_children"] == 0}
    return [wordnet[int(number)] for number in numbers]


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(f"ILSVRC2012_devkit_t12/data/{name}")
    assert file is not None  # the digest of the archive was checked
    return file.read()
