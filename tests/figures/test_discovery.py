"""Part discovery as it says: untrained, at each snapshot and at the end, and drawn so."""

import csv
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from small_study import edit_study, forget_configs, inside, new_project

from patchvae.analysis import precision
from patchvae.data.tensors import scale
from patchvae.errors import CheckpointError
from patchvae.figures import canvas, discovery
from patchvae.figures.catalogue import FIGURES, Target
from patchvae.figures.inputs import default_run, part_runs
from patchvae.figures.networks import load_trained
from patchvae.figures.patches import all_patches
from patchvae.models import build
from patchvae.numerics.batchnorm import calibrate
from patchvae.numerics.seeds import derive_seed
from patchvae.runtime.checkpoint import load_weights
from patchvae.runtime.machine import Options
from patchvae.study import paths
from patchvae.study.runs import resolve_run

RNG = np.random.default_rng(0)
TARGET = Target("small", FIGURES["discovery"])


def test_average_precision_by_hand() -> None:
    # descending scores: hit, miss, hit, miss -> (1/1 + 2/3) / 2
    scores = np.array([[0.9, 0.8, 0.7, 0.1], [0.1, 0.7, 0.8, 0.9]])
    truth = np.array([[True, False, True, False]])
    np.testing.assert_allclose(
        precision.average_precision(scores, truth), [[(1 + 2 / 3) / 2], [(1 / 2 + 2 / 4) / 2]]
    )


def test_a_constant_ranking_of_many_cells_has_the_precision_of_chance() -> None:
    truth = RNG.random((1, 20_000)) < 0.2
    ap = precision.average_precision(RNG.random((1, 20_000)), truth)
    assert ap[0, 0] == pytest.approx(0.2, abs=0.01)


def test_matching_recovers_a_permutation_of_perfect_maps() -> None:
    truth = RNG.random((60, 5, 16)) < 0.3
    order = [3, 0, 6, 2, 5]
    maps = RNG.random((60, 7, 16)) / 2
    maps[:, order] += truth
    part, ap, chance = precision.evaluate(maps, truth)
    assert part == order
    assert ap == [1.0] * 5
    assert chance == pytest.approx(truth.mean(), abs=0.08)


def test_matching_is_one_to_one_not_greedy() -> None:
    ap = np.array([[0.9, 0.8], [0.7, 0.1]])
    assert precision.match(ap) == ([1, 0], [0.7, 0.8])


def test_a_kind_without_a_part_left_has_no_precision() -> None:
    assert precision.match(np.array([[0.2, 0.9, 0.3]])) == ([-1, 0, -1], [0.0, 0.9, 0.0])


def test_true_cells_of_one_part() -> None:
    # kind 2 around the corner that four cells share, and an empty slot at the origin
    places = np.zeros((1, 2, 5), np.float32)
    places[0, 0] = [2, 15.5, 15.5, 6, 0]
    places[0, 1, 0] = -1
    cells = precision.true_cells(places, 32, 8)
    assert cells.shape == (1, 5, 16)
    assert np.flatnonzero(cells[0, 2]).tolist() == [5, 6, 9, 10]
    assert cells.sum() == 4
    places[0, 0, 1:4] = [1, 30, 0.5]  # smaller than a cell: the cell of its centre
    assert np.flatnonzero(precision.true_cells(places, 32, 8)[0, 2]).tolist() == [3]


def test_kmeans_separates_two_textures() -> None:
    images = np.zeros((4, 32, 32, 3), np.uint8)
    images[:, :, 16:] = 255
    patches = all_patches(images, 8)
    assert patches.shape == (4, 16, 12 * 12 * 3)
    assert patches[:, 0].max() == 0
    assert patches[:, 3].min() == 1


@pytest.fixture(scope="module")
def measured(trained: tuple[Path, Options]) -> Iterator[precision.Discovery]:
    """What the small study's figure shows, computed once."""
    with inside(trained[0]):
        yield discovery.compute(TARGET, trained[1])


def test_every_patchvae_of_tables_1_and_3_is_measured_at_every_epoch(
    measured: precision.Discovery,
) -> None:
    methods = measured.of("parts32")
    models = ["PatchVAE", "PatchVAE-GAN + $L_w$"]
    swept = ["PatchVAE, $N$ = 8", "PatchVAE, $d_p$ = 3"]
    assert list(methods) == [discovery.KMEANS, *models, *swept]
    assert list(methods.pop(discovery.KMEANS)) == [None]
    assert all(list(epochs) == [0, 1, 2] for epochs in methods.values())
    assert all(len(seeds) == 1 for epochs in methods.values() for seeds in epochs.values())


@torch.no_grad()
@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_a_score_is_what_the_weights_of_its_epoch_give(
    measured: precision.Discovery, trained: tuple[Path, Options], epoch: int
) -> None:
    run = default_run("small")
    config = resolve_run(run)
    torch.manual_seed(derive_seed(0, "init"))
    model = build(config).eval()
    if epoch:
        kept = load_weights(run.pretrain / (paths.MODEL if epoch == 2 else paths.SNAPSHOTS))
        model.load_state_dict({name.removeprefix("step3/"): t for name, t in kept.items()})
    data = load_trained(run, trained[1]).data
    index = data.subset_indices("test", 40)
    if not epoch:
        seen = scale(torch.from_numpy(data.images("train")[data.subset_indices("train", 120)]))
        calibrate(model.trunk, lambda: [seen])
    logits = model.posterior(scale(torch.from_numpy(data.images("test")[index])))[0]
    maps = logits.flatten(2).numpy().transpose(1, 0, 2).reshape(6, -1)
    truth = precision.true_cells(data.extra("test_places")[index], 32, 8)
    ap = precision.average_precision(maps, truth.transpose(1, 0, 2).reshape(5, -1))
    (score,) = measured.of("parts32")["PatchVAE"][epoch]
    assert score.part == precision.match(ap)[0]
    np.testing.assert_allclose(score.ap, [ap[n, k] for k, n in enumerate(score.part)], rtol=1e-6)


def test_a_snapshot_is_the_network_of_a_shorter_training(
    trained: tuple[Path, Options], measured: precision.Discovery, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    from patchvae.training.pretrain import pretrain

    monkeypatch.chdir(tmp_path)
    new_project(tmp_path, small=(trained[0] / "config" / "small.yaml").read_text())
    edit_study("epochs: 2", "epochs: 1", "small")
    edit_study("snapshots: 1", "snapshots: 0", "small")
    (run,) = part_runs("small", "parts32")["PatchVAE"]
    pretrain(resolve_run(run), trained[1])
    shorter = discovery.visibility_maps(load_trained(run, trained[1]))
    network = load_trained(run, trained[1])
    truth = discovery._truth(network, 8)
    (score,) = measured.of("parts32")["PatchVAE"][1]
    assert precision.evaluate(shorter, truth) == (score.part, score.ap, score.chance)
    # and without snapshots there are two points
    assert [step for step, _ in discovery.over_training(network)] == [0, 3]
    forget_configs()


def test_the_drawn_points_are_the_scores(measured: precision.Discovery) -> None:
    with canvas.style():
        end, training = discovery.draw(measured).axes
    methods = measured.of("parts32")
    names = [label.get_text() for label in end.get_yticklabels()]
    assert names == [discovery.KMEANS, "PatchVAE, untrained", *list(methods)[1:]]
    for row, name in enumerate(names):
        epochs = methods[name.removesuffix(", untrained")]
        scores = epochs[0] if "untrained" in name else list(epochs.values())[-1]
        *kinds, mean, chance = end.lines[7 * row : 7 * row + 7]
        assert [line.get_xdata()[0] for line in kinds] == [100 * ap for ap in scores[0].ap]
        assert all(line.get_ydata()[0] == row for line in kinds)
        assert mean.get_xdata()[0] == pytest.approx(20 * sum(scores[0].ap))
        assert chance.get_xdata()[0] == 100 * scores[0].chance
    drawn = {line.get_label(): line for line in training.lines}
    for name in ("PatchVAE", "PatchVAE-GAN + $L_w$"):
        assert drawn[name].get_xdata().tolist() == [0, 1, 2]
        means = [100 * methods[name][epoch][0].mean for epoch in (0, 1, 2)]
        assert drawn[name].get_ydata().tolist() == pytest.approx(means)
        dotted = training.lines[training.lines.index(drawn[name]) + 1]
        chances = [100 * methods[name][epoch][0].chance for epoch in (0, 1, 2)]
        assert dotted.get_ydata().tolist() == pytest.approx(chances)


def test_the_tables_hold_every_point(measured: precision.Discovery) -> None:
    tables = discovery.tabulate(measured, TARGET)
    assert {path.name for path in tables} == {
        f"discovery.{s}" for s in ("csv", "tex", "md", "html")
    }
    texts = {path.suffix: text for path, text in tables.items()}
    rows = list(csv.DictReader(StringIO(texts[".csv"])))
    assert len(rows) == len(measured.scores) * 5
    for i, score in enumerate(measured.scores):
        for row, ap in zip(rows[5 * i : 5 * i + 5], score.ap, strict=True):
            assert (row["method"], float(row["ap"])) == (score.method, round(ap, 6))
            assert row["epoch"] == ("" if score.epoch is None else f"{score.epoch:g}")
    (score,) = measured.of("parts32")["PatchVAE"][1]
    numbers = [f"{100 * x:.1f}" for x in (*score.ap, score.mean, score.chance)]
    assert f"| PatchVAE | 1 | {' | '.join(numbers)} |" in texts[".md"]
    assert f"PatchVAE & 1 & {' & '.join(numbers)} \\\\" in texts[".tex"]
    cells = "".join(f"<td>{x}</td>" for x in ("1", *numbers))
    assert f'<th scope="row">PatchVAE</th>{cells}' in texts[".html"]


def test_altered_snapshots_are_refused(studio: Options) -> None:
    path = TARGET.runs()[0].pretrain / paths.SNAPSHOTS
    content = path.read_bytes()
    try:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(CheckpointError, match=r"snapshots\.safetensors"):
            discovery.compute(TARGET, studio)
    finally:
        path.write_bytes(content)
