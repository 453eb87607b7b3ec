"""Probes beyond the paper against direct computations: neighbours, standardised features."""

import json
from collections import Counter
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from small_study import edit_study
from torch import Tensor

from patchvae.data.store import open_dataset
from patchvae.data.tensors import Images, load_images
from patchvae.errors import ConfigError
from patchvae.models.classifier import Frozen
from patchvae.numerics import parallel
from patchvae.runtime.machine import Options
from patchvae.runtime.progress import Progress
from patchvae.runtime.results import read_result
from patchvae.study import paths
from patchvae.study.protocol import protocol
from patchvae.study.registry import PROBES
from patchvae.study.runs import NeighbourSettings, ProbeSettings, Run, resolve_probe, resolve_run
from patchvae.study.tables import parse_cell
from patchvae.study.yaml_files import read_yaml
from patchvae.training import features as feature_sets
from patchvae.training import probe as probing
from patchvae.training.features import Cached, Live, Split, cache, load_trunk
from patchvae.training.neighbours import nearest, ranked
from patchvae.training.neighbours import probe as neighbours
from patchvae.training.pretrain import pretrain
from patchvae.training.probe import probe
from patchvae.training.standardise import Standardised, moments

CPU = torch.device("cpu")
QUIET = Progress("", 10**9)
FURTHER = ("conv5-standardised", "knn")


@pytest.fixture
def options(parts_root: Path) -> Options:
    return Options(device="cpu", data=parts_root)


@pytest.fixture
def encoder(project: Path, options: Options) -> Run:
    """A run whose encoder is ready: the untrained one, which takes no time."""
    run = Run("tiny", "parts32", "random", "plain", 0)
    pretrain(resolve_run(run), options)
    return run


@pytest.fixture
def network(encoder: Run) -> Frozen:
    trunk = load_trunk(resolve_probe(encoder, "conv5"))
    return Frozen(trunk, "conv5", 32).to(memory_format=torch.channels_last).eval()


def images_of(options: Options, split: str) -> Images:
    return load_images(open_dataset("parts32", options.data), (split,), 40, CPU)


def features(network: Frozen, images: Images, mirrored: bool = False) -> np.ndarray:
    """(n, 2048), of images mirrored by hand."""
    pixels = images.batch(torch.arange(len(images)))
    with torch.no_grad():
        found = network.prefix(pixels.flip(3) if mirrored else pixels)
    return found.flatten(1).numpy().astype(np.float64)


def split_of(x: Tensor) -> Split:
    return Split(Cached(x, len(x)), torch.arange(len(x)))


def by_votes(labels: list[int]) -> list[int]:
    """The classes of neighbours, nearest first, by votes, then by the nearest member."""
    votes = Counter(labels)
    return sorted(votes, key=lambda name: (-votes[name], labels.index(name)))


@pytest.mark.parametrize("at_once", [1, 7, 100])
def test_the_nearest_are_those_of_all_distances(at_once: int) -> None:
    generator = torch.Generator().manual_seed(0)
    test, train = (torch.randn(n, 3, 2, 2, generator=generator) for n in (23, 41))
    distances = cdist(test.flatten(1).numpy(), train.flatten(1).numpy())
    found = nearest(split_of(test), split_of(train), 5, at_once, QUIET)
    assert np.array_equal(found, np.argsort(distances, axis=1)[:, :5])


@pytest.mark.parametrize("at_once", [1, 3, 8, 100])
def test_of_equally_near_images_the_first_is_nearer(at_once: int) -> None:
    """Points of a small lattice, most several times: distances are integers, with many ties."""
    draw = np.random.default_rng(0)
    test, train = (draw.integers(0, 3, (n, 2, 1, 1)) for n in (20, 50))
    distances = cdist(test[..., 0, 0], train[..., 0, 0], "sqeuclidean").astype(int)
    expected = [sorted(range(50), key=lambda j, row=row: (row[j], j))[:9] for row in distances]
    assert any(
        row[order[8]] == sorted(row)[9] for row, order in zip(distances, expected, strict=True)
    )
    x, y = (split_of(torch.from_numpy(a).float()) for a in (test, train))
    assert nearest(x, y, 9, at_once, QUIET).tolist() == expected


def test_several_processes_share_the_test_images(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    test, train = (split_of(torch.randn(n, 3, 2, 2, generator=generator)) for n in (23, 41))
    whole = nearest(test, train, 5, 4, QUIET)
    monkeypatch.setattr(parallel, "total", lambda x: x)  # each rank's part, for the sum below
    monkeypatch.setenv("WORLD_SIZE", "2")
    parts = []
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        parts.append(nearest(test, train, 5, 4, QUIET))
        assert not torch.equal(parts[-1], whole)
    assert torch.equal(parts[0] + parts[1], whole)


def test_the_registry_and_the_schema_name_the_same_further_probes() -> None:
    schema = read_yaml(paths.shipped("workflow/schemas/study.schema.yaml"))
    columns = schema["properties"]["tables"]["additionalProperties"]["properties"]["columns"]
    assert columns["items"]["enum"] == [name for name, probe in PROBES.items() if probe.about]


def test_most_votes_win_and_ties_go_to_the_class_with_the_nearest_member() -> None:
    labels = torch.tensor([[7, 2, 2, 7, 3], [5, 5, 5, 5, 5], [1, 2, 3, 2, 4], [0, 9, 9, 0, 9]])
    assert ranked(labels).tolist() == [
        [7, 2, 3, -1, -1], [5, -1, -1, -1, -1], [2, 1, 3, 4, -1], [9, 0, -1, -1, -1],
    ]  # fmt: skip
    draws = torch.randint(0, 6, (200, 20), generator=torch.Generator().manual_seed(0))
    for row, found in zip(draws.tolist(), ranked(draws).tolist(), strict=True):
        expected = by_votes(row)
        assert found == expected + [-1] * (20 - len(expected))


def test_the_whole_probe_is_a_vote_of_the_plain_training_images(
    encoder: Run, network: Frozen, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_sets, "EVAL_BATCH", 16)  # several blocks, the last one incomplete
    config = resolve_probe(encoder, "knn")
    metrics = neighbours(config, options)
    assert read_result(config.folder / paths.METRICS, "probe") == metrics
    assert sorted(path.name for path in config.folder.iterdir()) == sorted(paths.PROBE_FILES)
    assert (config.folder / paths.HISTORY).read_text() == ""
    train, test = (images_of(options, split) for split in ("train", "test"))
    assert train.labels is not None
    assert test.labels is not None
    order = np.argsort(cdist(features(network, test), features(network, train)), axis=1)[:, :20]
    classes = [by_votes(train.labels[row].tolist()) for row in order]
    labels = test.labels.tolist()
    found = np.load(config.folder / paths.PREDICTIONS, allow_pickle=False)
    assert found["predicted"].tolist() == [ranking[0] for ranking in classes]
    right = [label in ranking[:5] for label, ranking in zip(labels, classes, strict=True)]
    assert found["correct5"].tolist() == right
    assert metrics["top1"] == 100 * np.mean(found["predicted"] == labels)
    assert metrics["top5"] == 100 * np.mean(right)
    assert 0 < metrics["top1"] < metrics["top5"] < 100


def test_more_neighbours_than_images_are_refused(
    project: Path, encoder: Run, options: Options
) -> None:
    edit_study("hidden: 32", "hidden: 32, neighbours: 41")
    with pytest.raises(
        ConfigError, match=r"tiny\.yaml: .* 41 neighbours of 40 images: lower probe"
    ):
        neighbours(resolve_probe(encoder, "knn"), options)


def test_features_that_change_in_training_are_not_standardised(project: Path) -> None:
    run = Run("tiny", "parts32", "random", "plain", 0)
    edit_study("hidden: 32", "hidden: 32, frozen_bn: train")
    with pytest.raises(ConfigError, match=r"config/tiny\.yaml: .* set probe\.frozen_bn of parts32"):
        resolve_probe(run, "conv5-standardised")
    assert resolve_probe(run, "knn").probe == NeighbourSettings(20, "fp32", 0, 0)


@pytest.mark.parametrize("name", FURTHER)
def test_features_in_memory_on_disk_and_live_give_the_same(
    name: str, encoder: Run, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = resolve_probe(encoder, name)
    contents = []
    for size, memory in (
        (feature_sets.CACHE_BYTES, 1 << 30),
        (feature_sets.CACHE_BYTES, 0),
        (0, 0),
    ):
        monkeypatch.setattr(feature_sets, "CACHE_BYTES", size)
        monkeypatch.setattr(feature_sets, "room", lambda device, memory=memory: memory)
        import_module(PROBES[name].module).probe(config, options)
        contents.append((config.folder / paths.PREDICTIONS).read_bytes())
        contents[-1] += (config.folder / paths.HISTORY).read_bytes()
    assert contents[0] == contents[1] == contents[2]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("memory", [None, 0])
def test_moments_are_those_of_all_training_images_and_their_mirror_images(
    flip: bool, memory: int | None, network: Frozen, options: Options
) -> None:
    images = images_of(options, "train")
    everything = features(network, images)
    if flip:
        everything = np.concatenate([everything, features(network, images, mirrored=True)])
    live = Live(images, network)
    mean, deviation = moments(cache(live, flip, memory), 40, flip, 16)
    np.testing.assert_allclose(mean.flatten(), everything.mean(0), rtol=1e-5, atol=1e-6)
    varying = everything.std(0) > 0
    np.testing.assert_allclose(
        deviation.flatten()[varying], everything.std(0)[varying], rtol=1e-4, atol=1e-6
    )
    again = moments(live, 40, flip, 16)
    assert torch.equal(mean, again[0])
    assert torch.equal(deviation, again[1])


def test_a_feature_that_never_varies_is_only_centred() -> None:
    x = torch.randn(50, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    x[:, 1] = 0.1  # no float: a mean of rounded sums would differ from it
    x[:, 2] = 1e6 + x[:, 2]  # varies little beside its size
    mean, deviation = moments(Cached(x, 50), 50, False, 7)
    assert deviation[0, 1] == 1
    scaled = Standardised(Cached(x, 50), mean, deviation).batch(torch.arange(50)).double()
    assert scaled[:, 1].eq(0).all()
    assert scaled[:, (0, 2)].mean(0).abs().max() < 0.1  # float32 holds 1e6 to 0.06
    np.testing.assert_allclose(scaled[:, (0, 2)].std(0, correction=0).flatten(), 1, rtol=1e-3)


def test_the_standardised_probe_trains_the_papers_classifier_on_such_features(
    encoder: Run, network: Frozen, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = resolve_probe(encoder, "conv5-standardised")
    metrics = probe(config, options)
    expected = np.load(config.folder / paths.PREDICTIONS, allow_pickle=False)["predicted"]
    plain, mirrored = (
        features(network, images_of(options, "train"), flip) for flip in (False, True)
    )
    both = np.concatenate([plain, mirrored])
    mean, deviation = both.mean(0), both.std(0)
    deviation[deviation == 0] = 1

    def by_hand(images: Images, network: Frozen, flip: bool) -> Cached:
        x = both if flip else features(network, images)
        scaled = torch.from_numpy((x - mean) / deviation).float()
        return Cached(scaled.view(len(x), 128, 4, 4), len(images))

    monkeypatch.setattr(probing, "features_of", by_hand)
    again = probe(replace(config, standardised=False), options)
    found = np.load(config.folder / paths.PREDICTIONS, allow_pickle=False)["predicted"]
    assert np.array_equal(found, expected)
    assert metrics["best_epoch"] == pytest.approx(again["best_epoch"], rel=1e-4)
    assert (
        metrics["best_epoch"]["loss"]
        != probe(resolve_probe(encoder, "conv5"), options)["best_epoch"]["loss"]
    )


def test_the_scale_of_features_changes_neither_probe(network: Frozen, options: Options) -> None:
    train, test = (images_of(options, split) for split in ("train", "test"))

    def judged() -> tuple[Tensor, Tensor]:
        x, y = (cache(Live(images, network), flip=False) for images in (test, train))
        pair = (Split(features, torch.arange(40)) for features in (x, y))
        scale = moments(y, 40, False, 16)
        varies = y.batch(torch.arange(40)).std(0) > 0  # others are centred, not scaled
        scaled = Standardised(x, *scale).batch(torch.arange(40))
        return nearest(*pair, 20, 16, QUIET), scaled[:, varies]

    index, scaled = judged()
    network.trunk.layer2.register_forward_hook(lambda module, inputs, output: 3 * output)
    again = judged()
    assert torch.equal(again[0], index)
    torch.testing.assert_close(again[1], scaled, rtol=1e-3, atol=1e-4)


def test_published_cells_have_the_digests_of_the_present_configuration(in_repo: Path) -> None:
    """Those of trained encoders, each probe of theirs."""
    probes = set()
    for path in Path("published/results/fashion/cells").glob("*/*/*.json"):
        cell, document = (
            parse_cell(str(path.relative_to("published"))),
            json.loads(path.read_text()),
        )
        if cell.row.model != "random":
            assert document["config_digest"] == cell.config_digest, path
            probes.add(document["probe"])
    assert probes == set(PROBES) - {"scratch"}


def test_every_key_of_the_section_is_some_probes(in_repo: Path) -> None:
    used = {field.name for kind in (ProbeSettings, NeighbourSettings) for field in fields(kind)}
    assert {f"probe.{name}" for name in used} == {k for k in protocol() if k.startswith("probe.")}


@pytest.mark.parametrize(
    ("new", "changed"),
    [
        ("hidden: 32, neighbours: 5", {"knn"}),
        ("hidden: 33", {"conv5", "conv5-standardised"}),
        ("hidden: 32, flip: false", {"conv5", "conv5-standardised"}),
        ("hidden: 32, precision: tf32", {"conv5", "conv5-standardised", "knn"}),
    ],
)
def test_a_key_concerns_the_probes_that_read_it(project: Path, new: str, changed: set[str]) -> None:
    run = Run("tiny", "parts32", "random", "plain", 0)
    names = ("conv5", *FURTHER)
    before = {name: resolve_probe(run, name).digest for name in names}
    edit_study("hidden: 32", new)
    after = {name: resolve_probe(run, name).digest for name in names}
    assert {name for name in names if before[name] != after[name]} == changed
    assert len({*before.values(), *after.values()}) == len(names) + len(changed)
