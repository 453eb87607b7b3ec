"""Results on disk: JSON that carries its own digest, written whole or not at all.

A file's existence proves nothing; every reader checks the digest inside and the digests of the
files that lie beside it.
"""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from patchvae.errors import CheckpointError
from patchvae.runtime.disk import writing
from patchvae.runtime.lock import confirm_locks
from patchvae.study.digests import digest_of, file_digest

SCHEMA = 1
os.umask(mask := os.umask(0o077))
MODE = 0o666 & ~mask  # of files, as `open` gives it: a group that works together says `umask 002`


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` atomically: temporary name, fsync, rename, fsync of the folder.

    What the file system refuses is a ResourceError, and leaves the old file whole; so does a lock
    of this process that is no longer its own, a LockedError.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, MODE)
            confirm_locks()
            os.replace(name, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of UTF-8 text."""
    write_bytes(path, text.encode())


def write_sealed(
    path: Path, body: Mapping[str, Any], seal: Callable[[Any], str] = digest_of
) -> dict[str, Any]:
    """Write a document with the digest of the rest of it under `digest`; returns what it wrote."""
    rest = {key: value for key, value in body.items() if key != "digest"}
    sealed = {**rest, "digest": seal(rest)}
    write_text(path, json.dumps(sealed, indent=1, sort_keys=True) + "\n")
    return sealed


def read_sealed(path: Path, seal: Callable[[Any], str] = digest_of) -> tuple[dict[str, Any], bool]:
    """A document, and whether its digest holds; ValueError when it is no such document."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        rest = {key: value for key, value in document.items() if key != "digest"}
        return document, document["digest"] == seal(rest)
    except (KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is not sealed") from error


def write_result(
    path: Path, kind: str, document: Mapping[str, Any], files: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Write a result of a kind with the digests of `files` beside it and its own digest.

    Returns it.
    """
    body = {"kind": kind, "schema": SCHEMA, **document}
    if files:
        body["files"] = {name: file_digest(path.parent / name) for name in files}
    return write_sealed(path, body)


def read_result(path: Path, kind: str, check_files: bool = True) -> dict[str, Any]:
    """A result after its digest, its kind and the digests of the files beside it.

    CheckpointError names the file that is missing, truncated, altered or of another kind.
    """
    remedy = "delete it and run its job again"
    try:
        body, intact = read_sealed(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: run its job first") from None
    except ValueError:
        raise CheckpointError(f"{path} is truncated or not a result: {remedy}") from None
    if not intact:
        raise CheckpointError(f"{path} was altered after it was written: {remedy}")
    if body.get("kind") != kind or body.get("schema") != SCHEMA:
        raise CheckpointError(f"{path} is not a result of kind '{kind}', schema {SCHEMA}: {remedy}")
    for name, expected in (body.get("files", {}) if check_files else {}).items():
        verify_file(path.parent / name, expected)
    return body


def read_current(path: Path, kind: str, config_digest: str) -> dict[str, Any]:
    """`read_result` of a result made with this configuration; else CheckpointError."""
    body = read_result(path, kind)
    if body["config_digest"] != config_digest:
        raise CheckpointError(
            f"{path} was made with another configuration: run its job again (snakemake does)"
        )
    return body


def verify_file(path: Path, expected: str) -> None:
    """CheckpointError unless the file's SHA-256 is the expected one."""
    if not path.is_file():
        raise CheckpointError(f"{path} is missing, though a result names it: run its job again")
    if file_digest(path) != expected:
        raise CheckpointError(
            f"{path} is not the file its result names: delete it and run its job again"
        )
