"""PNG files that carry their own digest, so that a page never shows a damaged one."""

import hashlib
import struct
import zlib
from pathlib import Path

from patchvae.errors import CheckpointError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = 12  # bytes of the last chunk, IEND


def _mark(rest: bytes) -> bytes:
    """A text chunk with the SHA-256 of all other bytes of the file."""
    body = b"tEXtSHA-256\x00" + hashlib.sha256(rest).hexdigest().encode()
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def sealed(png: bytes) -> bytes:
    """A PNG with its mark before its last chunk; programs that show pictures pass over it."""
    return png[:-END] + _mark(png) + png[-END:]


def read_picture(path: Path) -> bytes:
    """A sealed PNG; CheckpointError when it is missing, truncated, altered or no such file."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: draw it (snakemake does)") from None
    size = len(_mark(b""))
    rest, mark = content[: -END - size] + content[-END:], content[-END - size : -END]
    if not content.startswith(SIGNATURE) or mark != _mark(rest):
        raise CheckpointError(
            f"{path} is truncated, altered or not drawn by this version: delete it and draw it"
            " again (snakemake does)"
        )
    return content
