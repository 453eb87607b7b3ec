"""Decoding of images of every kind: geometry, colours, and reasons why not."""

from pathlib import Path

import numpy as np
import pytest
from pictures import encode, flat, noise, write
from PIL import Image
from skimage import data as photographs

from patchvae.data.decode import BadImageError, Item, decode

PURPLE = (120, 40, 200)


def decoded(path: Path, content: bytes, size: int = 16, margin: float = 0.0) -> np.ndarray:
    return decode(Item("x", 0, str(write(path, content))), size, margin)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("JPEG", "RGB"),
        ("JPEG", "CMYK"),
        ("PNG", "RGB"),
        ("PNG", "RGBA"),
        ("PNG", "P"),
        ("GIF", "P"),
        ("BMP", "RGB"),
        ("WEBP", "RGB"),
        ("TIFF", "CMYK"),
    ],
)
def test_colours_survive_whatever_the_file_is_called(tmp_path: Path, kind: str, mode: str) -> None:
    pixels = decoded(tmp_path / "x.jpg", encode(flat(PURPLE), kind, mode))
    assert (pixels.shape, pixels.dtype) == ((16, 16, 3), np.uint8)
    # a palette of the web's colours (steps of 51) is as near as the file itself is
    assert abs(pixels.astype(int) - PURPLE).max() <= (26 if mode == "P" else 4)


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "L"), ("PNG", "LA"), ("PNG", "1")])
def test_grey_becomes_three_equal_channels(tmp_path: Path, kind: str, mode: str) -> None:
    pixels = decoded(tmp_path / "x.jpg", encode(flat((255, 255, 255)), kind, mode))
    assert (pixels == 255).all()


@pytest.mark.parametrize("upright", [False, True])
def test_the_centre_square_is_kept(tmp_path: Path, upright: bool) -> None:
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, 32:48], wide[:, 48:64] = (255, 0, 0), (0, 0, 255)
    image = wide.swapaxes(0, 1) if upright else wide
    pixels = decoded(tmp_path / "x.png", encode(image, "PNG"))
    halves = pixels.swapaxes(0, 1) if upright else pixels
    assert (halves[:, 1:7] == [255, 0, 0]).all()
    assert (halves[:, 9:15] == [0, 0, 255]).all()


def test_a_margin_is_cut_off_first(tmp_path: Path) -> None:
    framed = np.zeros((256, 256, 3), np.uint8)
    framed[16:-16, 16:-16] = 255
    pixels = decoded(tmp_path / "x.png", encode(framed, "PNG"), 224, 1 / 16)
    assert (pixels == 255).all()


@pytest.mark.parametrize(("size", "margin"), [(64, 0.0), (224, 1 / 16)])
def test_like_torchvisions_resize_and_crop(tmp_path: Path, size: int, margin: float) -> None:
    from torchvision.transforms import v2

    content = encode(photographs.coffee())  # 400 x 600
    ours = decoded(tmp_path / "x.jpg", content, size, margin)
    resize = v2.Resize(round(size / (1 - 2 * margin)))
    theirs = np.asarray(v2.CenterCrop(size)(resize(Image.open(tmp_path / "x.jpg"))))
    assert abs(ours.astype(int) - theirs).mean() < 1.5  # of 255; reduced decoding, subpixel crop


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
@pytest.mark.parametrize("kept", [0.5, 0.95])
def test_truncated_images_are_bad(tmp_path: Path, kind: str, kept: float) -> None:
    content = encode(photographs.chelsea(), kind)
    with pytest.raises(BadImageError):
        decoded(tmp_path / "x.jpg", content[: int(kept * len(content))], 64)


def test_why_an_image_is_bad(tmp_path: Path) -> None:
    deep = encode(np.zeros((9, 9), np.uint16), "PNG", "I;16")
    for content, reason in (
        (b"", "no image"),
        (b"<html>404</html>", "no image"),
        (noise(0)[:700], "truncated"),
        (deep, "mode I;16 has more than 8 bits"),
    ):
        with pytest.raises(BadImageError, match=reason):
            decoded(tmp_path / "x.jpg", content)
    with pytest.raises(BadImageError, match="missing"):
        decode(Item("x", 0, str(tmp_path / "nowhere.jpg")), 16)
    with pytest.raises(BadImageError, match="Is a directory"):
        decode(Item("x", 0, str(tmp_path)), 16)


def test_bytes_in_the_middle_of_a_file(tmp_path: Path) -> None:
    first, second = noise(1), noise(2)
    path = write(tmp_path / "both", first + second)
    inside = decode(Item("x", 0, str(path), len(first), len(second)), 16)
    assert (inside == decoded(tmp_path / "x.jpg", second)).all()
