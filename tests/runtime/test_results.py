"""Results on disk: whole or not at all, and every kind of damage named."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from patchvae.errors import CheckpointError, ResourceError
from patchvae.runtime.results import read_result, verify_file, write_bytes, write_result, write_text
from patchvae.study.digests import digest_of, file_digest


@pytest.fixture
def result(tmp_path: Path) -> Path:
    """A result with one file beside it."""
    write_text(tmp_path / "history.csv", "epoch,loss\n1,0.5\n")
    write_result(tmp_path / "metrics.json", "probe", {"top1": 12.5}, files=("history.csv",))
    return tmp_path / "metrics.json"


def refused(path: Path, words: str, kind: str = "probe") -> None:
    with pytest.raises(CheckpointError) as caught:
        read_result(path, kind)
    message = str(caught.value)
    assert str(path.parent) in message
    assert words in message
    assert "\n" not in message


def test_round_trip(result: Path) -> None:
    body = read_result(result, "probe")
    assert body["top1"] == 12.5
    assert body["files"] == {"history.csv": file_digest(result.parent / "history.csv")}
    assert body["digest"] == digest_of({k: v for k, v in body.items() if k != "digest"})


def test_digest_is_of_the_content_not_of_its_layout(result: Path) -> None:
    result.write_text(json.dumps(json.loads(result.read_text())))
    assert read_result(result, "probe")["top1"] == 12.5
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 1.5})


def test_every_truncation_is_named(result: Path) -> None:
    whole = result.read_bytes()
    for length in range(len(whole) - 1):  # the last byte is a newline
        result.write_bytes(whole[:length])
        refused(result, "delete it and run its job again")


def test_every_flipped_bit_is_named(result: Path) -> None:
    """Each byte with one bit flipped: never read as another result."""
    whole = result.read_bytes()
    body = read_result(result, "probe")
    survivors = 0
    for k in range(len(whole)):
        changed = bytearray(whole)
        changed[k] ^= 1 << (k % 7)
        result.write_bytes(changed)
        with suppress(CheckpointError):
            assert read_result(result, "probe") == body  # white space into white space
            survivors += 1
    assert survivors < 10


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"12", b'"text"', b"\xff\xfe", b'{"digest": "0"}',
     b'{"digest": "0", "top1": NaN}', b'{"digest": null}', b"\x80\x02]q\x00."],
)  # fmt: skip
def test_foreign_content_is_named(result: Path, content: bytes) -> None:
    result.write_bytes(content)
    refused(result, "delete it and run its job again")


def test_missing_and_another_kind(result: Path) -> None:
    refused(result, "is not a result of kind 'pretrain'", kind="pretrain")
    result.unlink()
    refused(result, "is missing: run its job first")


def test_an_edited_number_is_noticed(result: Path) -> None:
    result.write_text(result.read_text().replace("12.5", "82.5"))
    refused(result, "altered")


def test_files_beside_a_result_are_checked(result: Path) -> None:
    history = result.parent / "history.csv"
    stat = history.stat()
    history.write_text(history.read_text().replace("0.5", "0.4"))
    os.utime(history, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # an old date proves nothing
    refused(result, "history.csv is not the file its result names")
    assert read_result(result, "probe", check_files=False)["top1"] == 12.5
    history.unlink()
    refused(result, "history.csv is missing")


def test_verify_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "x")
    verify_file(tmp_path / "a", file_digest(tmp_path / "a"))
    with pytest.raises(CheckpointError):
        verify_file(tmp_path / "a", "0" * 64)


def test_writing_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    for content in (b"one", b"two"):
        write_bytes(path, content)
        assert path.read_bytes() == content
    assert os.listdir(path.parent) == ["file"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_numbers_that_json_cannot_hold_are_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_result(tmp_path / "metrics.json", "probe", {"top1": float("nan")})
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_the_old_file_whole(tmpfs: Callable[[str], Path]) -> None:
    small_disk = tmpfs("size=64k,nr_inodes=8")
    path = small_disk / "metrics.json"
    write_bytes(path, b"old")
    with pytest.raises(ResourceError, match="No space left on device: free some space"):
        write_bytes(path, bytes(200_000))
    assert path.read_bytes() == b"old"
    assert os.listdir(small_disk) == ["metrics.json"]


def test_a_disk_without_inodes_is_named_too(tmpfs: Callable[[str], Path]) -> None:
    small_disk = tmpfs("size=64k,nr_inodes=8")
    for k in range(7):
        (small_disk / str(k)).touch()
    for path in (small_disk / "metrics.json", small_disk / "folder" / "metrics.json"):
        with pytest.raises(ResourceError, match="No space left on device"):
            write_bytes(path, b"x")


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o664), (0o022, 0o644), (0o077, 0o600)])
def test_who_may_read_and_write_a_result_is_the_umasks_to_say(tmp_path, umask, mode):
    """Snakemake refuses to make again what another of the group has made and it may not write."""
    write = "from patchvae.runtime.results import *; write_text(Path('a'), '')"
    subprocess.run([sys.executable, "-c", write], cwd=tmp_path, umask=umask, check=True)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode
