"""Chunked decoding by several processes: order, counts, bad images, going on, ending."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pictures import noise, write

from patchvae.data import filling
from patchvae.data.decode import Item, decode
from patchvae.data.writer import Writer
from patchvae.errors import DataError
from patchvae.study.registry import Dataset

SMALL = Dataset("small", "small", 16, 3, 30, 6, unlabelled=5)
Make = Callable[[Dataset], Writer]


@pytest.fixture
def make(writer_for: Make) -> Make:
    """Writers that know their classes."""

    def made(facts: Dataset) -> Writer:
        writer = writer_for(facts)
        writer.classes = ["a", "b", "c"]
        return writer

    return made


# lists one image many times
LONG = """
import sys
from pathlib import Path
from patchvae.data.decode import Item
from patchvae.data.filling import fill
from patchvae.data.writer import Writer
from patchvae.study.registry import Dataset

if __name__ == "__main__":
    facts = Dataset("long", "long", 16, 1, 10**5, 0)
    writer = Writer(facts, Path(sys.argv[1]), Path(sys.argv[1]), print)
    writer.classes = ["x"]
    fill(writer, {"train": (Item("x", 0, sys.argv[2]) for _ in range(10**5))}, workers=2)
"""


@pytest.fixture
def items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Item]]:
    """Images of three splits, in chunks of 8."""
    monkeypatch.setattr(filling, "CHUNK", 8)
    made, seed = {}, 0
    for split, count in (("train", 30), ("test", 6), ("unlabelled", 5)):
        made[split] = []
        for k in range(count):
            path = write(tmp_path / f"images/{split}{k}.jpg", noise(seed))
            made[split].append(Item(path.name, k % 3, str(path)))
            seed += 1
    return made


def test_rows_are_the_images_in_order(make: Make, items: dict[str, list[Item]]) -> None:
    writer = make(SMALL)
    filling.fill(writer, items, workers=2)
    assert writer.check() == {"train": 30, "unlabelled": 5, "test": 6}
    for split, listed in items.items():
        expected = np.stack([decode(item, 16) for item in listed])
        assert (np.load(writer.path(split)) == expected).all()
    assert np.load(writer.path("train_labels")).tolist() == [0, 1, 2] * 10


@pytest.mark.parametrize(("cut", "words"), [(-1, "29 train images, not 30"), (0, "33 train")])
def test_wrong_counts(make: Make, items: dict[str, list[Item]], cut: int, words: str) -> None:
    writer = make(SMALL)
    train = items["train"][:cut] if cut else items["train"] + items["train"][:3]
    with pytest.raises(DataError, match=words):
        filling.fill(writer, {"train": train}, workers=1)
    writer.classes = ["a"]
    with pytest.raises(DataError, match="1 classes, not 3"):
        filling.fill(writer, {"train": train}, workers=1)


def test_all_bad_images_are_named_at_once_and_only_their_chunks_are_done_again(
    make: Make, items: dict[str, list[Item]]
) -> None:
    writer = make(SMALL)
    bad = [items["train"][9], items["train"][10], items["test"][3]]
    good = [Path(item.path).read_bytes() for item in bad]
    Path(bad[0].path).write_bytes(b"text")
    Path(bad[1].path).write_bytes(good[1][:-200])
    Path(bad[2].path).unlink()
    with pytest.raises(DataError) as error:
        filling.fill(writer, items, workers=1)
    message = str(error.value)
    assert message.startswith("3 images of 'small' cannot be decoded: train9.jpg (no image)")
    assert "train10.jpg (image file is truncated" in message
    assert "test3.jpg (missing)" in message
    assert "\n" not in message
    before = {s: [decode(i, 16) for i in items[s]] for s in ("unlabelled",)}
    for item, content in zip(bad, good, strict=True):
        Path(item.path).write_bytes(content)
    again = items["train"][8:16] + items["test"]
    expected = {item.name: decode(item, 16) for item in again}
    for item in {*items["train"], *items["unlabelled"]} - set(again):
        Path(item.path).unlink()  # stored in the first attempt: not read again
    filling.fill(writer, items, workers=1)
    assert (np.load(writer.path("unlabelled")) == before["unlabelled"]).all()
    train = np.load(writer.path("train"))
    assert (train[8:16] == [expected[i.name] for i in items["train"][8:16]]).all()
    assert train[:8].any()
    assert train[16:].any()


def test_other_images_or_facts_are_decoded_anew(make: Make, items: dict[str, list[Item]]) -> None:
    test = items["test"]
    filling.fill(make(SMALL), {"test": test}, workers=1)
    writer = make(SMALL)
    filling.fill(writer, {"test": test[::-1]}, workers=1)
    expected = np.stack([decode(item, 16) for item in test[::-1]])
    assert (np.load(writer.path("test")) == expected).all()
    larger = Dataset("small", "small", 24, 3, 30, 6, unlabelled=5)
    filling.fill(make(larger), {"test": test}, workers=1)
    assert (np.load(writer.path("test")) == [decode(item, 24) for item in test]).all()


def test_many_bad_images_are_listed_in_a_file(make: Make, items: dict[str, list[Item]]) -> None:
    for item in items["train"]:
        Path(item.path).unlink()
    writer = make(SMALL)
    with pytest.raises(
        DataError, match=r"30 images .* and 10 more, all listed in .*small.bad_images"
    ):
        filling.fill(writer, {"train": items["train"]}, workers=1)
    listing = (writer.downloads.parent / "small.bad_images.txt").read_text().splitlines()
    assert listing == [f"train{k}.jpg (missing)" for k in range(30)]


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def long_run(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of decoding."""
    image = write(tmp_path / "x.jpg", noise(0))
    script = write(tmp_path / "long.py", LONG.encode())
    command = [sys.executable, str(script), str(tmp_path), str(image)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(read(tmp_path / "train.done").split()) > 2)
    assert process.poll() is None
    yield process
    process.kill()
    process.communicate()
    shutil.rmtree(tmp_path)  # the array is large


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def workers(pid: int) -> list[int]:
    children = read(Path(f"/proc/{pid}/task/{pid}/children")).split()
    return [int(p) for p in children if "spawn_main" in read(Path(f"/proc/{p}/cmdline"))]


def ended(pid: int) -> bool:
    return read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()[:1] in ([], ["Z"])


def test_workers_end_when_their_parent_is_killed(
    long_run: subprocess.Popen[str], tmp_path: Path
) -> None:
    pids = workers(long_run.pid)
    assert len(pids) == 2
    os.kill(long_run.pid, signal.SIGKILL)
    wait_until(lambda: all(ended(pid) for pid in pids))
    rows = np.load(tmp_path / "train.npy", mmap_mode="r")[: filling.CHUNK]
    assert (rows == decode(Item("x", 0, str(tmp_path / "x.jpg")), 16)).all()


def test_a_killed_worker_ends_it_with_what_to_do(long_run: subprocess.Popen[str]) -> None:
    os.kill(workers(long_run.pid)[0], signal.SIGKILL)
    _, errors = long_run.communicate(timeout=60)
    assert "ResourceError: a decoding process was ended from outside" in errors
    assert long_run.returncode == 1
