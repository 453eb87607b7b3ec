"""Images inside uncompressed tar archives, read in place: nothing is ever extracted to disk."""

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from patchvae.errors import DataError


def regular_files(path: Path, file: IO[bytes] | None = None) -> Iterator[tarfile.TarInfo]:
    """The regular files of an archive (`file`, where it is itself a member of `path`).

    DataError when it is no tar, is truncated, or has a member that is a link or device or whose
    name leads out of the archive's folder: the original archives have none.
    """
    try:
        with tarfile.open(path, "r:", file) as tar:
            for member in tar:
                if not member.isdir():
                    _check(member, path)
                    yield member
    except tarfile.TarError as error:
        raise DataError(
            f"{path} is no uncompressed tar, or is truncated ({error}): fetch it again"
        ) from None


def _check(member: tarfile.TarInfo, path: Path) -> None:
    name = PurePosixPath(member.name)
    if not member.isreg() or member.issparse() or name.is_absolute() or ".." in name.parts:
        raise DataError(
            f"{path} holds '{member.name}', which is no plain file inside the archive's folder: "
            "this is not the original archive"
        )
