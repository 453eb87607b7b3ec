"""One image, from a file or from inside a tar, to a square of uint8 RGB."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")  # whatever the file's name says
BYTE_MODES = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"))


class Item(NamedTuple):
    """An image of a dataset: all of a file, or `length` bytes of it from `offset` on."""

    name: str  # in messages
    label: int
    path: str
    offset: int = 0
    length: int = -1


class BadImageError(Exception):
    """An image that cannot be decoded; the text says why."""


def decode(item: Item, size: int, margin: float = 0.0) -> np.ndarray:
    """size x size x 3, uint8: the largest centred square, scaled (bilinear, antialiased).

    A fraction `margin` is cut off at each edge first: 1/16 resizes the shorter side to 256 for a
    crop of 224. JPEGs are decoded at the smallest of 1, 1/2, 1/4, 1/8 of their size that is at
    least twice the size wanted. Of an animation the first frame is taken; EXIF rotation is not
    applied. BadImageError when there is no image, or not all of it.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(_read(item)), formats=FORMATS) as image:
            if image.mode not in BYTE_MODES:
                raise BadImageError(f"mode {image.mode} has more than 8 bits a channel")
            twice = round(2 * size / (1 - 2 * margin))
            image.draft(None, (twice, twice))
            square = ImageOps.fit(
                image.convert("RGB"), (size, size), Image.Resampling.BILINEAR, bleed=margin
            )
    except (BadImageError, MemoryError):
        raise
    except FileNotFoundError:
        raise BadImageError("missing") from None
    except Image.UnidentifiedImageError:
        raise BadImageError("no image") from None
    except Exception as error:  # Pillow's decoders raise many classes on damaged files
        raise BadImageError(str(error) or type(error).__name__) from None
    return np.asarray(square)


def _read(item: Item) -> bytes:
    if item.length < 0:
        return Path(item.path).read_bytes()
    with open(item.path, "rb") as f:
        f.seek(item.offset)
        return f.read(item.length)
