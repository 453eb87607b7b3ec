"""The files of a folder or zip file that a stranger made: listed, bounded, and none outside it."""

import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from patchvae.errors import CheckpointError, ConfigError
from patchvae.study.digests import file_digest

LIST = "manifest-sha256.txt"  # a line a file, as `sha256sum -c` reads it
LARGEST_LIST = 64 * 2**20
BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, UnicodeError)


@dataclass(frozen=True)
class Archive:
    """Sizes in bytes by name, and how to read one; no name leads out, none is a link."""

    path: Path
    sizes: Mapping[str, int]
    open: Callable[[str], IO[bytes]]

    def digests(self) -> dict[str, str]:
        """SHA-256 by name; CheckpointError unless the list names each other file once."""
        if not 0 < self.sizes.get(LIST, 0) <= LARGEST_LIST:
            raise CheckpointError(f"{self.path} has no {LIST}: it is none of `patchvae export`'s")
        with self.open(LIST) as file:
            lines = file.read().decode().splitlines()
        found = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
        if wrong := sorted(set(found) ^ (set(self.sizes) - {LIST})):
            raise CheckpointError(f"{self.path}: {wrong[0]} is in {LIST} or in the crate, not both")
        return found


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """A folder or zip file; CheckpointError when it is broken or names what is not in it."""
    if not path.exists():
        raise ConfigError(f"{path} does not exist: name a folder or zip file of `patchvae export`")
    try:
        if path.is_dir():
            yield _folder(path)
        else:
            with zipfile.ZipFile(path) as file:
                yield _zip(path, file)
    except BROKEN as error:
        raise CheckpointError(f"{path} is broken: {error}: copy it again") from None


def _folder(top: Path) -> Archive:
    sizes = {}
    for folder, folders, files in os.walk(top):
        for name in [*folders, *files]:
            where = Path(folder, name)
            facts = where.lstat()
            if stat.S_ISREG(facts.st_mode):
                sizes[_safe(top, where.relative_to(top).as_posix())] = facts.st_size
            elif not stat.S_ISDIR(facts.st_mode):
                raise CheckpointError(f"{where} is a link or no file: a crate has files only")

    def read(name: str) -> IO[bytes]:
        return os.fdopen(os.open(top / name, os.O_RDONLY | os.O_NOFOLLOW), "rb")

    return Archive(top, sizes, read)


def _zip(path: Path, file: zipfile.ZipFile) -> Archive:
    sizes: dict[str, int] = {}
    for entry in file.infolist():
        name = _safe(path, entry.filename.removesuffix("/"))
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or entry.flag_bits & 1 or name in sizes:
            raise CheckpointError(f"{path}: {name} is a link, encrypted or there twice: refused")
        if not entry.is_dir():
            sizes[name] = entry.file_size
    return Archive(path, sizes, file.open)


def _safe(path: Path, name: str) -> str:
    """A name that stays inside on every system; else CheckpointError."""
    words = name.split("/")
    if not name.isprintable() or set(name) & set("\\:") or {"", ".", ".."} & set(words):
        raise CheckpointError(f"{path}: {name!r} leads out of the crate or is no name: refused")
    return name


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def write_list(folder: Path) -> None:
    """Write the digests of every file below a folder."""
    lines = [f"{file_digest(p)}  {p.relative_to(folder).as_posix()}" for p in files_below(folder)]
    (folder / LIST).write_text("\n".join(lines) + "\n", encoding="utf-8")


def pack(folder: Path, target: Path) -> None:
    """A zip file of a folder: the same bytes for the same files."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for path in files_below(folder):
            entry = zipfile.ZipInfo(
                path.relative_to(folder).as_posix()
            )  # of 1980, whatever the day
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            with path.open("rb") as source, file.open(entry, "w", force_zip64=True) as sink:
                while block := source.read(2**20):
                    sink.write(block)
