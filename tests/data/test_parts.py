"""The synthetic generator: its bytes, what the class depends on, and that places match pixels."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mini import MINI
from scipy import stats

from patchvae.data import parts, store

# of train.npy; raise parts.FORM when the bytes change
GOLDEN = "aace94595af9413688d6e896a5e32f6e24db8c4720303d37e702a35b52c601ef"


def scenes(size: int, count: int = 200) -> tuple[parts.Scenes, np.ndarray]:
    labels = np.arange(count) % len(parts.PAIRS)
    return parts.sample(np.random.default_rng(7), size, labels), labels


def test_same_seed_same_bytes(mini_once: Path) -> None:
    train = store.open_dataset(MINI, mini_once).images("train")
    assert hashlib.sha256(train.tobytes()).hexdigest() == GOLDEN


def test_bytes_do_not_depend_on_the_process(mini_once: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from patchvae.data import store;"
        "from patchvae.study.registry import Dataset;"
        "print(store.prepare(Dataset('mini', 'Mini', 32, 10, 200, 40, module='parts'),"
        "root=Path(sys.argv[1]))['digest'])"
    )
    environment = {"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "2"}
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert run.stdout.strip() == store.open_dataset(MINI, mini_once).digest


def test_the_class_is_the_set_of_kinds(mini_once: Path) -> None:
    prepared = store.open_dataset(MINI, mini_once)
    for split in ("train", "test"):
        kinds = prepared.extra(f"{split}_places")[..., 0].astype(int)
        for row, label in zip(kinds, prepared.labels(split), strict=True):
            assert set(row) - {-1} == set(parts.PAIRS[label])
            assert 2 <= (row >= 0).sum() <= parts.SLOTS
        assert np.ptp(np.bincount(prepared.labels(split))) == 0
    assert prepared.classes[0] == "ring+cross"


def test_a_kind_is_nearest_to_its_own_colour() -> None:
    scene, _ = scenes(32)
    there = scene.places[..., 0] >= 0
    away = abs(scene.colours[there][:, None] - np.array(parts.COLOURS)).max(-1)  # parts, kinds
    assert (away.argmin(1) == scene.places[there][:, 0]).all()
    assert away.min(1).max() <= parts.SHADE


def test_splits_differ(mini_once: Path) -> None:
    prepared = store.open_dataset(MINI, mini_once)
    train, test = (prepared.images(s).reshape(prepared.count(s), -1) for s in ("train", "test"))
    assert len(np.unique(np.concatenate([train, test]), axis=0)) == 240


def test_nothing_but_the_kinds_tells_the_class() -> None:
    scene, labels = scenes(32, 2_000)
    there = scene.places[..., 0] >= 0
    counts = np.array([np.bincount(there.sum(1)[labels == c], minlength=5)[2:] for c in range(10)])
    assert stats.chi2_contingency(counts).pvalue > 0.01
    each = np.repeat(labels, parts.SLOTS)[there.ravel()]
    properties = [scene.places[there][:, k] for k in range(1, 5)]
    for values in properties:
        assert stats.kruskal(*(values[each == c] for c in range(10))).pvalue > 0.01


@pytest.mark.parametrize("size", [32, 64])
def test_every_part_lies_inside_and_shows_where_its_place_says(size: int) -> None:
    scene, _ = scenes(size)
    image = parts.draw(scene).astype(int)
    y, x = np.mgrid[:size, :size]
    for slot in range(parts.SLOTS):
        there = scene.places[:, slot, 0] >= 0
        cy, cx, radius = scene.places[there, slot, 1:4].T[..., None, None]
        assert (np.minimum(cy, cx) >= radius).all()
        assert (np.maximum(cy, cx) + radius <= size - 1).all()
        change = abs(image - parts.draw(parts.without(scene, slot))).max(-1) > 8
        assert not change[~there].any()
        distance = np.hypot(y - cy, x - cx)
        assert not change[there][distance > radius + 1.1].any()
        shown = (change[there] & (distance <= radius)).sum((1, 2)) / (np.pi * radius.ravel() ** 2)
        assert shown.min() > 0.05


def test_a_ring_is_a_ring() -> None:
    """Centre left free, hoop filled, at a known place on a black ground."""
    size, colour = 33, np.array([1.0, 0.5, 0.0], np.float32)
    places = np.full((1, parts.SLOTS, 5), -1, np.float32)
    places[0, 0] = (0, 16, 12, 8, 0.3)
    none = np.full((1, parts.DISTRACTORS, 5), -1, np.float32)
    black = np.zeros((1, size, size, 3), np.float32)
    colours = np.broadcast_to(colour, (1, parts.SLOTS, 3))
    flat = np.zeros((1, size, size, 1), np.float32)
    scene = parts.Scenes(size, black, places, colours, none, colours[:, :3], flat)
    image = parts.draw(scene)[0]
    assert (image[16, 12] == 0).all()
    for y, x in ((16, 6), (16, 18), (10, 12), (22, 12)):
        assert (image[y, x] == [255, 128, 0]).all()
    assert (image[:, 22:] == 0).all()
