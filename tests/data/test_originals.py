"""Where original files are looked for, and digests that are published or recorded."""

import hashlib
from pathlib import Path

import pytest

from patchvae.data.originals import check_md5, insist, locate, remember, require
from patchvae.errors import DataError


def test_first_folder_with_every_file(tmp_path: Path) -> None:
    for name in ("a/x", "b/x", "b/y", "c/x", "c/y"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    folders = [tmp_path / name for name in "abc"]
    assert locate(["x", "y"], folders) == tmp_path / "b"
    assert locate(["z"], folders) is None
    assert require(["x"], folders[0], "the web") == folders[0]
    with pytest.raises(DataError, match="lacks y, z: get them from the web"):
        require(["x", "y", "z"], folders[0], "the web")


def test_size_is_checked_before_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(b"content")
    md5 = hashlib.md5(b"content").hexdigest()
    assert check_md5(path, md5, 7) == f"md5:{md5}"
    with pytest.raises(DataError, match="has 7 bytes, the published file 8"):
        check_md5(path, "0" * 32, 8)
    with pytest.raises(DataError, match=r"is not the published file \(MD5 differs\)"):
        check_md5(path, "0" * 32, 7)


def test_a_digest_is_recorded_once_and_then_insisted_on(tmp_path: Path) -> None:
    tar, lists, record = tmp_path / "tar", tmp_path / "lists", tmp_path / "new/digests.json"
    tar.write_bytes(b"one")
    first = insist([tar], record)
    assert first == {"tar": f"sha256:{hashlib.sha256(b'one').hexdigest()}"}
    assert not record.exists()
    remember(first, record)
    lists.touch()
    assert insist([tar, lists], record)["tar"] == first["tar"]
    tar.write_bytes(b"two")
    with pytest.raises(DataError, match=r"tar is not the file first used .*digests\.json"):
        insist([tar], record)
    record.unlink()
    assert insist([tar], record) != first
