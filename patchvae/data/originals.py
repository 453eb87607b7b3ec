"""Original files as they were published: where they lie, and that they are what they should be."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from patchvae.errors import DataError
from patchvae.runtime.results import write_text
from patchvae.study.digests import file_digest


def locate(names: Sequence[str], folders: Iterable[Path]) -> Path | None:
    """The first folder that holds every one of the files."""
    for folder in folders:
        if all((folder / name).is_file() for name in names):
            return folder
    return None


def require(names: Sequence[str], folder: Path, where: str) -> Path:
    """`folder`, when it holds every file; else a DataError that names the missing ones."""
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise DataError(f"{folder} lacks {', '.join(missing)}: get them from {where}")
    return folder


def check_md5(path: Path, expected: str, size: int | None = None) -> str:
    """`md5:<hex>` of the file.

    DataError when it, or the size in bytes, is not the published one.
    """
    found = path.stat().st_size
    if size is not None and found != size:
        raise DataError(
            f"{path} has {found} bytes, the published file {size}: delete it and fetch it again"
        )
    if file_digest(path, "md5") != expected:
        raise DataError(
            f"{path} is not the published file (MD5 differs): delete it and fetch it again"
        )
    return f"md5:{expected}"


def insist(paths: Iterable[Path], record: Path) -> dict[str, str]:
    """SHA-256 by file name, for files without a published one; DataError unless as recorded."""
    recorded = _recorded(record)
    found = {path.name: f"sha256:{file_digest(path)}" for path in paths}
    for name, digest in found.items():
        if recorded.get(name, digest) != digest:
            raise DataError(
                f"{name} is not the file first used (SHA-256 differs from the one in {record}): "
                "restore it, or delete the record to accept the new one"
            )
    return found


def remember(digests: dict[str, str], record: Path) -> None:
    """Record digests for `insist`, once the files have proved to be good."""
    known = {**_recorded(record), **digests}
    write_text(record, json.dumps(known, indent=1, sort_keys=True) + "\n")


def _recorded(record: Path) -> dict[str, str]:
    if not os.path.lexists(record):
        return {}
    try:
        return dict(json.loads(record.read_text(encoding="utf-8")))
    except (ValueError, TypeError, RecursionError):
        raise DataError(
            f"{record} is damaged: delete it to accept the original files as they are now"
        ) from None
