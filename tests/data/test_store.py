"""The prepared form: round trip, every damage, killed and simultaneous preparation, subsets."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mini import MINI
from small_study import REPO

from patchvae.data import manifest, store
from patchvae.data.writer import Writer
from patchvae.errors import ConfigError, DataError

# prepares MINI, and waits in the middle until it is killed or there is a file `go`
HALF_WAY = """
import sys, time
from pathlib import Path
from patchvae.data import store
from patchvae.study.registry import Dataset

def report(line):
    print(line, flush=True)
    while not (Path(sys.argv[1]) / "go").exists():
        time.sleep(0.01)

facts = Dataset("mini", "Mini", 32, 10, 200, 40, module="parts")
store.prepare(facts, root=Path(sys.argv[1]), report=report)
"""


def test_round_trip(mini_root: Path) -> None:
    prepared = store.open_dataset(MINI, mini_root)
    images = prepared.images("train")
    assert isinstance(images, np.memmap)
    assert (images.shape, images.dtype) == ((200, 32, 32, 3), np.uint8)
    assert not images.flags.writeable
    assert prepared.labels("test").shape == (40,)
    assert prepared.labels("test").dtype == np.int64
    assert prepared.extra("test_places").shape == (40, 4, 5)
    assert (prepared.count("unlabelled"), len(prepared.classes)) == (0, 10)
    with pytest.raises(DataError, match="no array 'unlabelled_labels'"):
        prepared.labels("unlabelled")
    with pytest.raises(ConfigError, match="unknown split 'val'"):
        prepared.count("val")


def test_preparing_again_changes_nothing(mini_root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (mini_root / "mini").iterdir()}
    lines: list[str] = []
    again = store.prepare(MINI, root=mini_root, report=lines.append)
    assert lines == ["mini: already prepared"]
    assert again["digest"] == store.open_dataset(MINI, mini_root).digest
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_root_is_the_environment_variable_or_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATCHVAE_DATA", "/mnt/images")
    assert store.data_root() == Path("/mnt/images")
    monkeypatch.delenv("PATCHVAE_DATA")
    assert store.data_root() == Path("data")


def test_not_prepared_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"'parts32' is not prepared under .*: run `patchvae prepare parts32`"
    ):
        store.open_dataset("parts32", tmp_path)
    with pytest.raises(ConfigError, match="unknown dataset 'cifar1000'"):
        store.open_dataset("cifar1000", tmp_path)


def flip_bit(path: Path, at: int) -> None:
    with path.open("r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("name", ["train.npy", "test_labels.npy", "train_places.npy"])
def test_damaged_files_are_named_and_mended_by_preparing_again(mini_root: Path, name: str) -> None:
    digest = store.open_dataset(MINI, mini_root).digest
    path = mini_root / "mini" / name
    flip_bit(path, path.stat().st_size - 1)
    with pytest.raises(DataError, match=rf"{name} was altered .*`patchvae prepare mini` again"):
        store.open_dataset(MINI, mini_root)
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(DataError, match=rf"{name} has \d+ bytes, not \d+"):
        store.open_dataset(MINI, mini_root)
    path.unlink()
    with pytest.raises(DataError, match=rf"{name} is missing"):
        store.open_dataset(MINI, mini_root)
    assert store.prepare(MINI, root=mini_root)["digest"] == digest


def test_an_edited_manifest_is_refused(mini_root: Path) -> None:
    path = mini_root / "mini/manifest.json"
    body = json.loads(path.read_text())
    body["files"]["train.npy"]["sha256"] = "0" * 64
    path.write_text(json.dumps(body))
    with pytest.raises(DataError, match=r"manifest\.json is damaged"):
        store.open_dataset(MINI, mini_root)
    manifest.write_manifest(path.parent, {**body, "format": 0})
    with pytest.raises(DataError, match="format 0, not 1"):
        store.open_dataset(MINI, mini_root)
    path.write_text("{")
    with pytest.raises(DataError, match="damaged"):
        store.open_dataset(MINI, mini_root)


def test_another_version_of_the_facts_is_refused(mini_root: Path) -> None:
    with pytest.raises(DataError, match="prepared by another version"):
        store.open_dataset(replace(MINI, train=199), mini_root)


def test_large_files_are_sampled_at_once_and_verified_wholly(
    mini_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "FULL_CHECK", 0)
    monkeypatch.setattr(manifest, "BLOCK", 64)
    path = mini_root / "mini/train.npy"
    facts = json.loads((path.parent / "manifest.json").read_text())
    facts["files"] = {p.name: manifest.describe(p) for p in path.parent.glob("*.npy")}
    manifest.write_manifest(path.parent, facts)
    flip_bit(path, 1_000)  # between the first two blocks of 64 bytes
    store.open_dataset(MINI, mini_root)
    with pytest.raises(DataError, match=r"train\.npy was altered"):
        store.verify(MINI, mini_root)
    flip_bit(path, path.stat().st_size - 1)
    with pytest.raises(DataError, match=r"train\.npy was altered"):
        store.open_dataset(MINI, mini_root)


def start_preparing(root: Path) -> "subprocess.Popen[str]":
    """A process of its own that prepares MINI."""
    return subprocess.Popen(
        [sys.executable, "-u", "-c", HALF_WAY, str(root)],
        env={**os.environ, "PYTHONPATH": str(REPO)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def said(process: "subprocess.Popen[str]", words: str) -> str:
    """The process's next line, which holds the words."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert words in line, line + process.stdout.read()
    return line


@pytest.mark.parametrize("killed", [True, False])
def test_the_second_preparation_waits_for_the_first_and_takes_over_when_it_is_killed(
    killed: bool, mini_once: Path, tmp_path: Path
) -> None:
    first = start_preparing(tmp_path)
    said(first, "200 train images drawn")
    second = start_preparing(tmp_path)
    line = said(second, "mini: waiting for ")
    assert f"{socket.gethostname()} process {first.pid} since 20" in line
    with pytest.raises(DataError, match="is not prepared"):
        store.open_dataset(MINI, tmp_path)
    if killed:
        first.kill()
        first.wait()
        said(second, f"took over the lock of {socket.gethostname()} process {first.pid} since ")
        said(second, "200 train images drawn")
    (tmp_path / "go").touch()
    output, _ = second.communicate(timeout=60)
    first.communicate(timeout=60)
    assert second.returncode == 0
    assert first.returncode == (-signal.SIGKILL if killed else 0)
    assert ("mini: already prepared" in output) is not killed
    assert store.open_dataset(MINI, tmp_path).digest == store.open_dataset(MINI, mini_once).digest
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"mini", "go"}


def test_what_is_prepared_is_found_in_a_folder_that_cannot_be_written_to(mini_once: Path) -> None:
    before = set(mini_once.iterdir())
    lock = mini_once / ".mini.lock"
    lock.mkdir()  # nobody, not even root, could write the lock
    try:
        assert store.prepare(MINI, root=mini_once)["dataset"] == "mini"
    finally:
        lock.rmdir()
    assert set(mini_once.iterdir()) == before


def test_wrong_counts_classes_sizes_and_labels(tmp_path: Path) -> None:
    writer = Writer(MINI, tmp_path, tmp_path, lambda line: None)
    images = {"train": 200, "test": 40}
    writer.classes = ["a"] * 9
    with pytest.raises(DataError, match="9 classes, not 10"):
        writer.check()
    writer.classes = ["a"] * 10
    with pytest.raises(DataError, match="no train images, not 200"):
        writer.check()
    for split, count in images.items():
        writer.images(split, count)
        writer.labels(split, np.arange(count) % 10)
    assert writer.check() == {"train": 200, "unlabelled": 0, "test": 40}
    writer.labels("test", np.arange(40) % 9)
    with pytest.raises(DataError, match=r"test labels do not cover 0\.\.9"):
        writer.check()
    writer.labels("test", np.arange(39) % 10)
    with pytest.raises(DataError, match="39 test labels, not 40"):
        writer.check()
    writer.create("train", (200, 28, 28, 3), np.uint8)
    with pytest.raises(DataError, match=r"train images of shape \(28, 28, 3\)"):
        writer.check()
    writer.images("train", 201)
    with pytest.raises(DataError, match="201 train images, not 200: the files given are not"):
        writer.check()


@pytest.mark.parametrize("limit", [1, 10, 57, 100, 200])
def test_subsets_are_balanced_nested_and_fixed(mini_once: Path, limit: int) -> None:
    prepared = store.open_dataset(MINI, mini_once)
    index = prepared.subset_indices("train", limit)
    assert len(np.unique(index)) == limit
    assert (np.diff(index) > 0).all()
    counts = np.bincount(prepared.labels("train")[index], minlength=10)
    assert counts.max() - counts.min() <= 1
    assert set(index) <= set(prepared.subset_indices("train", min(limit + 7, 200)))
    assert (index == prepared.subset_indices("train", limit)).all()


def test_subset_of_all_and_of_too_many(mini_once: Path) -> None:
    prepared = store.open_dataset(MINI, mini_once)
    assert (prepared.subset_indices("test") == np.arange(40)).all()
    for limit in (0, 41):
        with pytest.raises(ConfigError, match=f"cannot take {limit} test images of 'mini'"):
            prepared.subset_indices("test", limit)


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys; from importlib import import_module;"
        "from patchvae.study.registry import DATASETS;"
        "from patchvae.data import store;"
        "[import_module(facts.import_path) for facts in DATASETS.values()];"
        "print(sorted({'torch', 'torchvision', 'scipy', 'PIL', 'rich'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_manifest_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """Its bytes are literal: SHA-256 over JSON with sorted keys and ', ' and ': ' between them."""
    body = '{"classes": ["a", "b"], "format": 1, "size": 32}'
    sealed = json.loads(body) | {"digest": hashlib.sha256(body.encode()).hexdigest()}
    (tmp_path / "manifest.json").write_text(json.dumps(sealed, indent=1, sort_keys=True))
    assert manifest.read_manifest(tmp_path, "again") == sealed
