"""What a file system refuses, in words: one line with the path, the reason and the remedy."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike

from patchvae.errors import ResourceError

REMEDIES = {
    errno.ENOSPC: "free some space there (or inodes: `df -i`)",
    errno.EDQUOT: "free some of your quota there",
    errno.EFBIG: "the file system or `ulimit -f` allows no file that large",
    errno.EROFS: "mount it for writing, or work in another folder",
    errno.EACCES: "ask its owner for the right to do this, or work in another folder",
    errno.EPERM: "ask its owner for the right to do this, or work in another folder",
    errno.EISDIR: "a folder is where a file belongs: move it away",
    errno.ENOTDIR: "a file is where a folder belongs: move it away",
    errno.EEXIST: "a file or link is where a folder belongs: move it away",
    errno.ENOTEMPTY: "a folder with files is in the way: move it away",
    errno.ELOOP: "these links lead in a circle: remove them",
    errno.ENAMETOOLONG: "use shorter names, or a shorter path for the project",
    errno.ENOENT: "it, a folder above it, or what a link there points to is missing: put it back",
    errno.EMFILE: "allow more open files (`ulimit -n`)",
    errno.ENFILE: "the machine has too many open files: end other processes",
    errno.EIO: "the disk or its network fails: look at the system's log",
    errno.ESTALE: "the network file system lost it: run the same command again",
}


def explain(error: OSError, path: str | PathLike[str] | None = None) -> str:
    """What could not be used, why, and how to mend it; empty for an errno that is no disk's."""
    if error.errno not in REMEDIES:
        return ""
    names = [name for name in (error.filename, error.filename2) if name is not None]
    where = path or " or ".join(map(str, names)) or "a file"
    return f"cannot use {where}: {error.strerror}: {REMEDIES[error.errno]}"


@contextmanager
def writing(path: str | PathLike[str]) -> Iterator[None]:
    """Within the block what the file system refuses is a ResourceError about `path`.

    For calls that work on open files, whose errors name none.
    """
    try:
        yield
    except OSError as error:
        if line := explain(error, path):
            raise ResourceError(line) from error
        raise
