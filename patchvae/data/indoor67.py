"""MIT Indoor Scene Recognition (Quattoni & Torralba, 2009).

The original tar and its two split files.

Images in neither list are `unlabelled` and serve pretraining only (reading A16). No digest of the
files is published: the first ones that were prepared are recorded and insisted on ever after.
"""

from collections import Counter
from pathlib import Path, PurePosixPath

from patchvae.data.decode import Item
from patchvae.data.filling import fill
from patchvae.data.originals import insist, remember, require
from patchvae.data.tars import regular_files
from patchvae.data.writer import Writer
from patchvae.errors import DataError
from patchvae.study.registry import Dataset

FORM = 1
RESUMABLE = True
ARCHIVE = "indoorCVPR_09.tar"
LISTS = {"train": "TrainImages.txt", "test": "TestImages.txt"}
WHERE = "https://web.mit.edu/torralba/www/indoor.html"


def prepare_into(
    facts: Dataset, source: Path | None, writer: Writer, workers: int | None = None
) -> None:
    """Decode the images of both lists, and the rest of the archive."""
    names = [ARCHIVE, *LISTS.values()]
    folder = require(names, source or writer.downloads, WHERE)
    record = writer.beside("digests.json")
    writer.sources = insist((folder / name for name in names), record)
    items = _index(folder / ARCHIVE, writer)
    listed = {split: _read_list(folder / name, items) for split, name in LISTS.items()}
    both = sorted(set(listed["train"]) & set(listed["test"]))
    if both:
        raise DataError(f"{folder}: train and test list share {', '.join(both)}: fetch them again")
    rest = sorted(set(items) - set(listed["train"]) - set(listed["test"]))
    splits = {**listed, "unlabelled": rest}
    fill(writer, {s: [items[n] for n in names] for s, names in splits.items()}, workers=workers)
    remember(writer.sources, record)


def _index(archive: Path, writer: Writer) -> dict[str, Item]:
    """Every image by `class/file`; sets the writer's classes."""
    found: dict[str, tuple[int, int]] = {}
    for member in regular_files(archive):
        name = PurePosixPath(member.name)
        if name.suffix.lower() == ".jpg" and len(name.parts) == 3 and name.parts[0] == "Images":
            place = (member.offset_data, member.size)
            first = found.setdefault("/".join(name.parts[1:]), place)
            if first != place and not _same_bytes(archive, first, place):
                raise DataError(
                    f"{archive} holds '{member.name}' twice, with different content: this is not"
                    " the original archive"
                )
        else:
            writer.report(f"{archive} also holds {member.name}, which is no image of a class")
    writer.classes = sorted({name.split("/")[0] for name in found})
    label = {name: k for k, name in enumerate(writer.classes)}
    return {
        name: Item(name, label[name.split("/")[0]], str(archive), *place)
        for name, place in found.items()
    }


def _same_bytes(archive: Path, *places: tuple[int, int]) -> bool:
    """Whether members of an archive, by offset and size, have the same content."""
    contents = set()
    with archive.open("rb") as file:
        for offset, size in places:
            file.seek(offset)
            contents.add(file.read(size))
    return len(contents) == 1


def _read_list(path: Path, items: dict[str, Item]) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="surrogateescape")  # as tarfile reads names
    names = [line.strip() for line in text.splitlines() if line.strip()]
    wrong = [name for name in names if name not in items]
    wrong += [name for name, times in Counter(names).items() if times > 1]
    if wrong:
        raise DataError(
            f"{path} names {len(wrong)} images twice or not in the archive: "
            f"{', '.join(wrong[:20])}: fetch both again"
        )
    return names
