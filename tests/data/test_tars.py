"""Archives that try to reach outside their folder, and broken ones."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest
from pictures import tar, write

from patchvae.data.tars import regular_files
from patchvae.errors import DataError


def special(kind: bytes, target: str = "/etc/passwd") -> tarfile.TarInfo:
    info = tarfile.TarInfo("Images/bar/x.jpg")
    info.type, info.linkname = kind, target
    return info


def test_files_and_where_their_bytes_are(tmp_path: Path) -> None:
    folder = special(tarfile.DIRTYPE)
    content = tar({"d": folder, "a/b.jpg": b"one", "c.jpg": b"three"})
    path = write(tmp_path / "x.tar", content)
    members = list(regular_files(path))
    assert [member.name for member in members] == ["a/b.jpg", "c.jpg"]
    assert [content[m.offset_data :][: m.size] for m in members] == [b"one", b"three"]
    inside = list(regular_files(path, io.BytesIO(content)))
    assert [member.name for member in inside] == ["a/b.jpg", "c.jpg"]


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("/etc/cron.d/x", b"x"),
        ("Images/../../x.jpg", b"x"),
        ("..", b"x"),
        ("Images/bar/x.jpg", special(tarfile.SYMTYPE)),
        ("Images/bar/x.jpg", special(tarfile.LNKTYPE)),
        ("Images/bar/x.jpg", special(tarfile.CHRTYPE)),
        ("Images/bar/x.jpg", special(tarfile.FIFOTYPE)),
    ],
)
def test_hostile_members_are_refused(
    tmp_path: Path, name: str, member: bytes | tarfile.TarInfo
) -> None:
    path = write(tmp_path / "in/x.tar", tar({"fine.jpg": b"x", name: member}))
    with pytest.raises(DataError, match=r"x\.tar holds .*, which is no plain file inside"):
        list(regular_files(path))
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "x.tar"]


def test_broken_archives_are_named(tmp_path: Path) -> None:
    whole = tar({"a.jpg": b"x" * 5_000, "b.jpg": b"y" * 5_000})
    for content in (whole[:3_000], gzip.compress(whole), b"<html>", b""):
        path = write(tmp_path / "x.tar", content)
        with pytest.raises(DataError, match=r"x\.tar is no uncompressed tar, or is truncated"):
            list(regular_files(path))
