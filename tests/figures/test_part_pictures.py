"""Figure 2 shows the patches where the probabilities peak."""

import numpy as np
import pytest
import torch

from patchvae.data.tensors import scale
from patchvae.figures import figure2
from patchvae.figures.catalogue import FIGURES, Target
from patchvae.figures.inputs import default_run
from patchvae.figures.networks import load_parts
from patchvae.figures.patches import corners, patch_side
from patchvae.runtime.machine import Options

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("batch", [1, 7, 64, 200])
def test_merged_batches_equal_one_sort(batch: int) -> None:
    logits = RNG.integers(0, 40, (200, 3, 4, 4)).astype(np.float32)  # many ties
    best = None
    for start in range(0, 200, batch):
        index = np.arange(start, min(start + batch, 200))
        best = figure2.merge(best, figure2.peaks(torch.from_numpy(logits[index]), index), kept=20)
    peak = logits.reshape(200, 3, 16).max(2)
    for part in range(3):
        order = sorted(range(200), key=lambda i: (-peak[i, part], i))[:20]
        assert best.image[:, part].tolist() == order
        assert best.logit[:, part].tolist() == peak[order, part].tolist()


def test_the_choice_takes_the_best_of_each_class_first() -> None:
    labels = np.array([3, 3, 3, 1, 3, 1, 2])
    assert figure2.diverse(labels, 3).tolist() == [0, 3, 6]
    assert figure2.diverse(labels, 4).tolist() == [0, 1, 3, 6]
    assert figure2.diverse(np.array([5, 5, 5]), 2).tolist() == [0, 1]


@pytest.mark.parametrize(("size", "stride"), [(32, 8), (64, 8), (224, 32)])
def test_a_patch_lies_in_the_image_and_holds_the_centre_of_its_cell(size: int, stride: int) -> None:
    cells, side = np.arange((size // stride) ** 2), patch_side(size)
    where = corners(cells, stride, size)
    centre = (np.stack(np.divmod(cells, size // stride), -1) + 0.5) * stride
    assert where.min() == 0
    assert where.max() == size - side
    assert np.all((where < centre) & (centre < where + side))
    inner = np.all((centre > side / 2) & (centre < size - side / 2), axis=1)
    assert np.all(abs(where + side / 2 - centre)[inner] <= 0.5)


def test_every_patch_is_where_its_part_is_most_visible(studio: Options) -> None:
    data = figure2.compute(Target("small", FIGURES["figure2"]), studio)
    trained, model = load_parts(default_run("small"), studio)
    index = trained.data.subset_indices("train", 120)
    pixels = torch.from_numpy(trained.data.images("train")[index])
    with torch.no_grad():
        logits = model.posterior(scale(pixels))[0].flatten(2).numpy()
    assert len(data.parts) == 6
    for part in data.parts:
        peak = logits[:, part.part].max(1)
        kept = data.best.image[:, part.part]
        assert len(set(kept.tolist())) == figure2.KEPT
        np.testing.assert_allclose(
            np.sort(peak)[::-1][:50], data.best.logit[:, part.part], atol=1e-5
        )
        for position, patch, probability in zip(
            part.shown, part.patches, part.probabilities, strict=True
        ):
            image = int(kept[position])
            row = int(np.searchsorted(index, image))
            cell = int(logits[row, part.part].argmax())
            assert probability == pytest.approx(1 / (1 + np.exp(-peak[row])), abs=1e-5)
            top, left = corners(np.array(cell), 8, 32)
            expected = trained.data.images("train")[image, top : top + 12, left : left + 12]
            np.testing.assert_array_equal(patch, expected)
        labels = trained.data.labels("train")[kept[part.shown]]
        assert part.classes == [trained.data.classes[k] for k in labels]
        assert len(set(labels.tolist())) == figure2.SHOWN


def test_the_csv_lists_what_was_kept(studio: Options) -> None:
    target = Target("small", FIGURES["figure2"])
    data = figure2.compute(target, studio)
    ((path, text),) = figure2.tabulate(data, target).items()
    lines = text.splitlines()
    assert path.as_posix() == "figures/small/figure2.csv"
    assert len(lines) == 1 + 6 * figure2.KEPT
    assert sum(line.endswith(",1") for line in lines) == 6 * figure2.SHOWN
