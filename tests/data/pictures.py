"""Encoded images and tars, as the original archives hold them."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def encode(pixels: np.ndarray, kind: str = "JPEG", mode: str = "RGB") -> bytes:
    """The bytes of an image file."""
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind, quality=95)
    return file.getvalue()


def flat(colour: tuple[int, int, int], height: int = 40, width: int = 50) -> np.ndarray:
    """An image of one colour."""
    return np.full((height, width, 3), colour, np.uint8)


def noise(seed: int, height: int = 90, width: int = 120) -> bytes:
    """A JPEG that cannot be mistaken for another one's."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return encode(np.asarray(Image.fromarray(coarse).resize((width, height))))


def tar(members: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    """An uncompressed tar of files, or of members given as they are."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members.items():
            if isinstance(content, bytes):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                archive.addfile(content)
    return file.getvalue()


def write(path: Path, content: bytes) -> Path:
    """Write a file, and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
