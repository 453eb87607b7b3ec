"""Probing for real, on a few images: caching, freezing, schedules, refusals, kills."""

import csv
import json
import random
import signal
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from processes import Job
from small_study import edit_study
from torch import Tensor, nn

from patchvae.data.rowfile import RowFile
from patchvae.data.store import open_dataset
from patchvae.data.tensors import Images, load_images
from patchvae.errors import CheckpointError, ConfigError, ResourceError
from patchvae.models.classifier import Classifier
from patchvae.models.trunk import Trunk
from patchvae.numerics.optim import SGD
from patchvae.runtime.machine import Options
from patchvae.runtime.results import read_result
from patchvae.study import paths
from patchvae.study.runs import Run, resolve_probe, resolve_run
from patchvae.training import classify, features
from patchvae.training import probe as probing
from patchvae.training.features import Cached, Live, Split, cache, features_of
from patchvae.training.pretrain import pretrain
from patchvae.training.probe import probe
from patchvae.training.scores import PREDICTED, evaluate

RUN = Run("tiny", "parts32", "random", "plain", 0)
CPU = torch.device("cpu")
FROZEN = ("conv1", "conv3", "conv5")


@pytest.fixture
def options(parts_root: Path) -> Options:
    return Options(device="cpu", data=parts_root)


@pytest.fixture
def encoder(project: Path, options: Options) -> Run:
    """A run whose encoder is ready: the untrained one, which takes no time."""
    pretrain(resolve_run(RUN), options)
    return RUN


@pytest.mark.parametrize("model", ["beta-vae", "beta-vae-gan"])  # whose trunk lies deeper
def test_a_snapshot_is_judged_as_a_training_that_ends_there(
    model: str, project: Path, options: Options
) -> None:
    run = Run("tiny", "parts32", model, "z8-beta1", 0)
    pretrain(resolve_run(run), options)
    judged = probe(resolve_probe(run, "conv5+probe.snapshot=1"), options)
    stored = np.load(run.folder / "conv5+probe.snapshot=1" / paths.PREDICTIONS)
    edit_study("epochs: 2, batch_size: 8", "epochs: 1, batch_size: 8")
    edit_study(", snapshots: 1", "")
    pretrain(resolve_run(run), options)
    shorter = probe(resolve_probe(run, "conv5"), options)
    assert judged["top1"] == shorter["top1"]
    with np.load(run.folder / "conv5" / paths.PREDICTIONS) as alone:
        assert all(np.array_equal(stored[name], alone[name]) for name in PREDICTED)


def test_a_probe_of_fewer_images_sees_those_of_a_smaller_study(
    project: Path, options: Options
) -> None:
    data = open_dataset("parts32", options.data)
    images, labels = features.images_of(
        resolve_probe(RUN, "conv5+probe.images=20"), data, "train", CPU
    )
    edit_study("train: 40", "train: 20")
    smaller = features.images_of(resolve_probe(RUN, "conv5"), data, "train", CPU)
    assert torch.equal(labels, smaller[1])
    assert labels.bincount().tolist() == [2] * 10
    index = torch.arange(20)
    assert torch.equal(images.batch(index), smaller[0].batch(index))


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("conv5+probe.snapshot=2", r"probe\.snapshot is 2 of 1: raise pretrain\.snapshots"),
        ("knn+probe.images=41", r"probe\.images is 41 of 40: lower probe\.images"),
    ],
)
def test_what_a_probe_cannot_reach(project: Path, stage: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"tiny\.yaml: .*{said}"):
        resolve_probe(Run("tiny", "parts32", "beta-vae", "z8-beta1", 0), stage)


def test_no_snapshot_of_an_untrained_trunk(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"probe\.snapshot is 1 of 0"):
        resolve_probe(RUN, "conv5+probe.snapshot=1")


def make(frozen: str | None, classes: int = 10) -> Classifier:
    """A classifier on a trunk with moved BN statistics."""
    torch.manual_seed(0)
    trunk = Trunk()
    for name, value in trunk.state_dict().items():
        if "running" in name:
            value.add_(0.1 * torch.rand_like(value))
    return Classifier(trunk, frozen, 32, classes, hidden=16).to(memory_format=torch.channels_last)


@pytest.fixture
def images(parts_root: Path) -> Images:
    return load_images(open_dataset("parts32", parts_root), ("train",), 40, CPU)


@pytest.mark.parametrize("frozen", FROZEN)
@pytest.mark.parametrize("flip", [False, True])
def test_cached_features_equal_live_ones_bit_for_bit(
    frozen: str, flip: bool, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "EVAL_BATCH", 16)  # several blocks, the last one incomplete
    classifier = make(frozen).eval()
    live = Live(images, classifier)
    cached = cache(live, flip)
    assert len(cached.features) == (80 if flip else 40)
    generator = torch.Generator().manual_seed(1)
    index = torch.randperm(40, generator=generator)[:8]
    mirrored = torch.rand(8, generator=generator) < 0.5 if flip else None
    ours = cached.batch(index, mirrored)
    assert torch.equal(ours, live.batch(index, mirrored))
    if mirrored is not None:
        pixels = images.batch(index)
        pixels[mirrored] = pixels[mirrored].flip(3)
        with torch.no_grad():
            assert torch.equal(ours, classifier.prefix(pixels))
        assert not torch.equal(ours, cached.batch(index))


@pytest.mark.parametrize("frozen", FROZEN)
def test_features_on_disk_are_those_in_memory(
    frozen: str, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "EVAL_BATCH", 16)
    live = Live(images, make(frozen).eval())
    memory, disk = cache(live, True), cache(live, True, memory=0)
    assert isinstance(memory.features, torch.Tensor)
    assert isinstance(disk.features, RowFile)
    assert len(disk.features) == 80
    index, mirrored = torch.tensor([39, 0, 7]), torch.tensor([True, False, True])
    ours = disk.batch(index, mirrored)
    assert torch.equal(ours, memory.batch(index, mirrored))
    assert ours.is_contiguous(
        memory_format=torch.contiguous_format if frozen == "conv5" else torch.channels_last
    )


def test_features_on_disk_are_asked_for_from_the_cpu_which_need_not_wait() -> None:
    elsewhere = torch.device("meta")  # stands for a GPU
    rows = RowFile(torch.Size([2, 1, 1]), False, elsewhere)
    assert Cached(rows, 4).index_device == torch.device("cpu")
    assert Cached(torch.empty(4, 2, device=elsewhere), 4).index_device == elsewhere


@pytest.mark.parametrize("frozen", FROZEN)
def test_a_whole_probe_with_any_cache_equals_one_without(
    frozen: str, encoder: Run, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = resolve_probe(encoder, frozen)
    files = (paths.PREDICTIONS, paths.HISTORY)
    contents = []
    for size, memory in ((features.CACHE_BYTES, 1 << 30), (features.CACHE_BYTES, 0), (0, 0)):
        monkeypatch.setattr(features, "CACHE_BYTES", size)
        monkeypatch.setattr(features, "room", lambda device, memory=memory: memory)
        probe(config, options)
        contents.append([(config.folder / name).read_bytes() for name in files])
    assert contents[0] == contents[1] == contents[2]


def test_a_full_disk_under_the_features_is_named(
    images: Images, tmpfs: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmpfs("size=64k")))
    with pytest.raises(ResourceError, match="set TMPDIR"):
        cache(Live(images, make("conv1").eval()), True, memory=0)


def test_features_are_cached_only_when_they_fit_and_something_is_frozen(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(features_of(images, make("conv5").eval(), flip=True), Cached)
    assert isinstance(features_of(images, make(None).eval(), flip=True), Live)
    needed = 4 * 128 * 4 * 4 * 40
    monkeypatch.setattr(features, "CACHE_BYTES", needed)
    assert isinstance(features_of(images, make("conv5").eval(), flip=False), Cached)
    assert isinstance(features_of(images, make("conv5").eval(), flip=True), Live)


@pytest.mark.parametrize("frozen", [None, *FROZEN])
def test_training_moves_the_rest_and_nothing_frozen(frozen: str | None, images: Images) -> None:
    classifier = make(frozen)
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in classifier.parameters() if p.requires_grad], lr=0.1)
    classifier.train()
    h = Live(images, classifier).batch(torch.arange(16))
    assert images.labels is not None
    nn.functional.cross_entropy(classifier(h), images.labels[:16]).backward()
    optimizer.step()
    stages = classifier.trunk.split(frozen)[0]
    fixed = {
        f"trunk.{name}.{key}" if key else name
        for stage in stages
        for name, module in classifier.trunk.named_children()
        if any(module is m for m in classifier.trunk.stage(stage))
        for key in module.state_dict()
    }
    for name, value in classifier.state_dict().items():
        assert torch.equal(value, before[name]) == (name in fixed), name


def test_frozen_bn_in_train_mode_uses_and_keeps_each_batchs_statistics(images: Images) -> None:
    """As in the release (reading A13): features are no constant of the image, so not cached."""
    torch.manual_seed(0)
    classifier = Classifier(Trunk(), "conv1", 32, 10, hidden=16, frozen_bn="train").train()
    live = features_of(images, classifier, flip=False)
    assert isinstance(live, Live)
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    index = torch.arange(16)
    h = live.batch(index)
    trunk = classifier.trunk
    y = trunk.conv1(images.batch(index))
    normal = (y - y.mean((0, 2, 3), keepdim=True)) * torch.rsqrt(
        y.var((0, 2, 3), keepdim=True, correction=0) + trunk.bn1.eps
    )
    torch.testing.assert_close(h, trunk.maxpool(torch.relu(normal)))
    moved = {n for n, v in classifier.state_dict().items() if not torch.equal(v, before[n])}
    assert moved == {
        f"trunk.bn1.{n}" for n in ("running_mean", "running_var", "num_batches_tracked")
    }
    assert not any(p.requires_grad for p in trunk.bn1.parameters())


def test_affine_parameters_may_be_frozen_in_the_trained_stages_too() -> None:
    classifier = Classifier(Trunk(), "conv1", 32, 10, hidden=16, affine="frozen")
    for name, module in classifier.trunk.named_modules():
        for parameter in module.parameters(recurse=False):
            trained = isinstance(module, nn.Conv2d) and name != "conv1"
            assert parameter.requires_grad == trained, name


@pytest.mark.parametrize("report", ["last", "best"])
def test_the_reported_epoch_is_the_last_or_the_first_best(
    project: Path, encoder: Run, options: Options, report: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_study("lr_step: 2,", f"lr_step: 2, report: {report},")
    seen: list[dict[str, np.ndarray]] = []
    real = evaluate

    def watched(classifier: Classifier, split: Split) -> dict[str, object]:
        """The real result, with one image more or less right from epoch to epoch."""
        result = real(classifier, split)
        right = (3, 9, 9, 5, 5)[len(seen)]
        result["correct1"] = np.arange(40) < right
        result["top1"] = 100 * right / 40
        seen.append(dict(result))
        return result

    for place in (classify, probing):
        monkeypatch.setattr(place, "evaluate", watched)
    config = resolve_probe(encoder, "conv5")
    metrics = probe(config, options)
    assert metrics["top1"] == {"last": 12.5, "best": 22.5}[report]
    written = np.load(config.folder / paths.PREDICTIONS)
    expected = seen[{"last": -1, "best": 1}[report]]
    assert all(np.array_equal(written[name], expected[name]) for name in PREDICTED)


def test_the_learning_rate_falls_once_an_epoch_by_the_protocol(
    encoder: Run, options: Options
) -> None:
    config = resolve_probe(encoder, "conv5")
    probe(config, options)
    with (config.folder / paths.HISTORY).open() as file:
        rates = [float(row["lr"]) for row in csv.DictReader(file)]
    assert rates == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3])


def test_the_optimizer_takes_the_rate_momentum_and_decay_of_the_protocol(
    project: Path, encoder: Run, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_study("lr_step: 2", "lr_step: 1")
    used: list[tuple[float, float, float]] = []
    step = SGD.step

    def watched(self: SGD, gradients: Sequence[Tensor]) -> None:
        used.append((self.lr, self.momentum, self.weight_decay))
        step(self, gradients)

    monkeypatch.setattr(SGD, "step", watched)
    probe(resolve_probe(encoder, "conv5"), options)
    assert len(used) == 4 * 5
    assert [lr for lr, _, _ in used[::5]] == pytest.approx([1e-2, 1e-3, 1e-4, 1e-5])
    assert {(momentum, decay) for _, momentum, decay in used} == {(0.9, 0.0)}


class Scores(nn.Module):
    """Stands in for a classifier: its logits are its features."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, h: Tensor) -> Tensor:
        return h


def split_of(logits: Tensor, labels: list[int]) -> Split:
    return Split(Cached(logits, len(logits)), torch.tensor(labels))


def test_evaluation_counts_by_hand() -> None:
    logits = torch.tensor([[6.0, 5, 4, 3, 2, 1], [1, 2, 3, 4, 5, 6], [1, 6, 2, 3, 4, 5]])
    result = evaluate(Scores(6), split_of(logits, [0, 1, 0]))  # type: ignore[arg-type]
    assert result["predicted"].tolist() == [0, 5, 1]
    assert result["correct1"].tolist() == [True, False, False]
    assert result["correct5"].tolist() == [True, True, False]
    assert (result["top1"], result["top5"]) == (33.333333, 66.666667)


@pytest.mark.parametrize("classes", [2, 4, 5])
def test_top5_of_five_classes_or_fewer_is_always_right(classes: int) -> None:
    logits = torch.randn(20, classes, generator=torch.Generator().manual_seed(0))
    labels = [k % classes for k in range(20)]
    result = evaluate(Scores(classes), split_of(logits, labels))  # type: ignore[arg-type]
    assert result["top5"] == 100
    assert result["top1"] == 5 * (logits.argmax(1) == torch.tensor(labels)).sum().item()


def test_evaluation_in_blocks_is_evaluation_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(50, 10, generator=torch.Generator().manual_seed(0))
    whole = evaluate(Scores(10), split_of(logits, list(range(10)) * 5))  # type: ignore[arg-type]
    monkeypatch.setattr(features, "EVAL_BATCH", 7)
    blocks = evaluate(Scores(10), split_of(logits, list(range(10)) * 5))  # type: ignore[arg-type]
    assert all(np.array_equal(whole[name], blocks[name]) for name in whole)


def test_the_last_epoch_is_the_result_and_the_best_is_recorded_beside_it(
    encoder: Run, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, scores = evaluate, iter([20.0, 90.0, 50.0, 30.0])

    def falling(classifier: Classifier, split: Split) -> dict[str, object]:
        result = real(classifier, split)
        return {**result, "top1": next(scores, 30.0)}

    for place in (classify, probing):
        monkeypatch.setattr(place, "evaluate", falling)
    config = resolve_probe(encoder, "conv5")
    metrics = probe(config, options)
    assert metrics["top1"] == 30.0
    assert (metrics["best_epoch"]["epoch"], metrics["best_epoch"]["top1"]) == (2, 90.0)


def test_results_agree_with_the_predictions_beside_them(encoder: Run, options: Options) -> None:
    config = resolve_probe(encoder, "conv3")
    metrics = probe(config, options)
    assert read_result(config.folder / paths.METRICS, "probe") == metrics
    assert sorted(path.name for path in config.folder.iterdir()) == sorted(paths.PROBE_FILES)
    predictions = np.load(config.folder / paths.PREDICTIONS, allow_pickle=False)
    data = open_dataset("parts32", options.data)
    labels = data.labels("test")[data.subset_indices("test", 40)]
    assert np.array_equal(predictions["correct1"], predictions["predicted"] == labels)
    assert metrics["top1"] == pytest.approx(100 * predictions["correct1"].mean())
    assert metrics["top5"] == pytest.approx(100 * predictions["correct5"].mean())
    assert metrics["n_test"] == 40
    assert metrics["config_digest"] == config.digest
    resolved = yaml.safe_load((config.folder / paths.RESOLVED).read_text())
    assert resolved == json.loads(json.dumps(config.as_dict()))
    with (config.folder / paths.HISTORY).open() as file:
        assert float(list(csv.DictReader(file))[-1]["top1"]) == metrics["top1"]


def test_an_encoder_of_another_configuration_is_refused(
    project: Path, encoder: Run, options: Options
) -> None:
    edit_study("test: 40", "test: 50")
    with pytest.raises(CheckpointError, match="made with another configuration"):
        probe(resolve_probe(encoder, "conv5"), options)


def test_an_altered_encoder_is_refused(encoder: Run, options: Options) -> None:
    path = encoder.pretrain / paths.ENCODER
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=paths.ENCODER):
        probe(resolve_probe(encoder, "conv5"), options)
    assert not (encoder.folder / "conv5").exists()


def test_a_missing_encoder_is_refused(project: Path, options: Options) -> None:
    with pytest.raises(CheckpointError, match="run its job first"):
        probe(resolve_probe(RUN, "conv5"), options)


def test_an_encoder_of_other_images_is_refused(encoder: Run, options: Options) -> None:
    from patchvae.runtime.results import write_result

    path = encoder.pretrain / paths.METRICS
    body = {k: v for k, v in json.loads(path.read_text()).items() if k != "digest"}
    write_result(path, "pretrain", {**body, "data_digest": "0" * 64})
    with pytest.raises(CheckpointError, match="pretrained on other images"):
        probe(resolve_probe(encoder, "conv5"), options)


def test_killed_at_random_steps_it_ends_as_if_undisturbed(
    project: Path, encoder: Run, options: Options
) -> None:
    config = resolve_probe(encoder, "conv1")
    arguments = ("probe", encoder.name, "conv1", "--data", str(options.data), "--save-every", "0")
    files = (paths.PREDICTIONS, paths.HISTORY)
    probe(config, options)
    expected = [(config.folder / name).read_bytes() for name in files]
    for path in config.folder.iterdir():
        path.unlink()
    draw = random.Random(1)
    signals = [signal.SIGUSR1, signal.SIGKILL, signal.SIGTERM]
    for step, number in zip(sorted(draw.sample(range(1, 14), 3)), signals, strict=True):
        job = Job(project, *arguments)
        code = job.signal_at(step, number)
        assert code == (-number if number == signal.SIGKILL else 75), job.text()
        assert not (config.folder / paths.METRICS).exists()
    job = Job(project, *arguments)
    assert job.wait() == 0, job.text()
    assert job.text().count("continuing at epoch") == 3
    assert [(config.folder / name).read_bytes() for name in files] == expected
    assert not list(project.glob("results/*/state/**/*.pt"))


def test_a_diverging_probe_exits_4_and_leaves_no_result(
    project: Path, encoder: Run, options: Options
) -> None:
    edit_study("lr_step: 2", "lr_step: 2, lr: 1.0e+30")
    job = Job(project, "probe", encoder.name, "conv5", "--data", str(options.data))
    assert job.wait() == 4, job.text()
    line = job.text().strip().splitlines()[-1]
    assert f"{encoder.name}/conv5: loss is" in line
    assert "at epoch 1, step" in line
    assert not (encoder.folder / "conv5").exists()


def test_a_batch_of_one_image_may_differ_in_the_last_bits_only(images: Images) -> None:
    """The one exception to exact caches: convolutions take another path for a single image."""
    for frozen in FROZEN:
        live = Live(images, make(frozen).eval())
        one, index = torch.arange(1), torch.arange(40)
        torch.testing.assert_close(
            live.batch(one), cache(live, False).batch(index)[:1], atol=1e-5, rtol=1e-5
        )
