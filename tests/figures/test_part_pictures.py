"""Figure 2 shows the patches where the probabilities peak, and discovery is measured as it says."""

import numpy as np
import pytest
import torch

from patchvae.data.tensors import scale
from patchvae.figures import discovery, figure2
from patchvae.figures.catalogue import FIGURES, Target
from patchvae.figures.inputs import default_run
from patchvae.figures.networks import load_parts
from patchvae.figures.patches import all_patches, corners, patch_side
from patchvae.runtime import Options

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


def test_average_precision_by_hand() -> None:
    # descending scores: hit, miss, hit, miss -> (1/1 + 2/3) / 2
    scores = np.array([[0.9, 0.8, 0.7, 0.1], [0.1, 0.7, 0.8, 0.9]])
    truth = np.array([[True, False, True, False]])
    np.testing.assert_allclose(
        discovery.average_precision(scores, truth), [[(1 + 2 / 3) / 2], [(1 / 2 + 2 / 4) / 2]]
    )


def test_a_constant_ranking_of_many_cells_has_the_precision_of_chance() -> None:
    truth = RNG.random((1, 20_000)) < 0.2
    ap = discovery.average_precision(RNG.random((1, 20_000)), truth)
    assert ap[0, 0] == pytest.approx(0.2, abs=0.01)


def test_matching_recovers_a_permutation_of_perfect_maps() -> None:
    truth = RNG.random((60, 5, 16)) < 0.3
    order = [3, 0, 6, 2, 5]
    maps = RNG.random((60, 7, 16)) / 2
    maps[:, order] += truth
    score = discovery.evaluate("parts32", "m", 0, maps, truth)
    assert score.part == order
    assert score.ap == [1.0] * 5
    assert score.chance == pytest.approx(truth.mean(), abs=0.08)


def test_matching_is_one_to_one_not_greedy() -> None:
    ap = np.array([[0.9, 0.8], [0.7, 0.1]])
    assert discovery.match(ap) == ([1, 0], [0.7, 0.8])


def test_a_kind_without_a_part_left_has_no_precision() -> None:
    assert discovery.match(np.array([[0.2, 0.9, 0.3]])) == ([-1, 0, -1], [0.0, 0.9, 0.0])


def test_true_cells_of_one_part() -> None:
    # kind 2 around the corner that four cells share, and an empty slot at the origin
    places = np.zeros((1, 2, 5), np.float32)
    places[0, 0] = [2, 15.5, 15.5, 6, 0]
    places[0, 1, 0] = -1
    cells = discovery.true_cells(places, 32, 8)
    assert cells.shape == (1, 5, 16)
    assert np.flatnonzero(cells[0, 2]).tolist() == [5, 6, 9, 10]
    assert cells.sum() == 4
    places[0, 0, 1:4] = [1, 30, 0.5]  # smaller than a cell: the cell of its centre
    assert np.flatnonzero(discovery.true_cells(places, 32, 8)[0, 2]).tolist() == [3]


def test_discovery_measures_every_method(studio: Options) -> None:
    target = Target("small", FIGURES["discovery"])
    data = discovery.compute(target, studio)
    assert [s.method for s in data.scores] == [
        discovery.UNTRAINED,
        discovery.KMEANS,
        "PatchVAE",
        "PatchVAE-GAN + $L_w$",
    ]
    assert all(0 < score.mean < 1 and 0 < score.chance < 1 for score in data.scores)
    tables = discovery.tabulate(data, target)
    assert sorted(path.name for path in tables) == [
        "discovery.csv",
        "discovery.md",
        "discovery.tex",
    ]
    first = f"{100 * data.scores[2].ap[0]:.1f}"
    markdown = next(text for path, text in tables.items() if path.suffix == ".md")
    assert f"| Parts-32 | PatchVAE | {first} |" in markdown


def test_kmeans_separates_two_textures() -> None:
    images = np.zeros((4, 32, 32, 3), np.uint8)
    images[:, :, 16:] = 255
    patches = all_patches(images, 8)
    assert patches.shape == (4, 16, 12 * 12 * 3)
    assert patches[:, 0].max() == 0
    assert patches[:, 3].min() == 1
