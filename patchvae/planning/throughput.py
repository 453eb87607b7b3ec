"""What devices do, as measured.

Images a second, the seconds around a job's work, bytes that it leaves.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from patchvae.errors import ConfigError
from patchvae.planning.work import pretrain_images, probe_images
from patchvae.study.protocol import validate
from patchvae.study.registry import lookup
from patchvae.study.runs import NeighbourSettings, PretrainConfig, ProbeConfig
from patchvae.study.yaml_files import read_yaml

CACHE_BYTES = 64 << 30  # as in patchvae.training.features, which is slow to import
# distances in the time in which the classifier judges an image: one product of D features in
# float64, which takes twice as long as in float32, to 512 (protocol's probe.hidden) in float32
PAIRS = 256
SLOW, TYPICAL, FAST = range(3)
# channels and stride of what a frozen stage hands on (the trunk's layers are the same in both
# sizes)
OUTPUTS = {"conv1": (64, 4), "conv3": (64, 4), "conv5": (128, 8)}

CPU, GPU = "cpu", "h100"  # the devices of throughput.yaml

Rates = Mapping[int, Mapping[str, tuple[float, float, float]]]
Seconds = tuple[float, float, float]


@dataclass(frozen=True)
class Device:
    """One device and its rates: the slowest, the median and the fastest of `n` timings.

    In images a second, by image size and then by model (`pretrain`) or by the last frozen stage,
    `scratch` where there is none. `match` is how results name the device; `measured` is false for
    rates that were computed from others.
    """

    name: str
    match: str
    hardware: str
    measured: bool
    n: int
    date: str
    start: float  # seconds of a training's process before its own clock starts
    inside: float  # seconds by its clock that no image takes
    pretrain: Rates
    prefix: Rates
    train: Rates
    evaluate: Rates
    past: Sequence[Mapping[str, Any]] = ()  # forecasts: what, forecast, measured (seconds), date
    packing: Mapping[int, float] = field(
        default_factory=dict
    )  # runs at once -> their total rate, one = 1

    def gain(self, runs: int) -> float | None:
        """What so many trainings side by side get done, one alone being 1.

        None where not measured.
        """
        return 1.0 if runs == 1 else self.packing.get(runs)

    def seconds(self, config: PretrainConfig | ProbeConfig) -> Seconds | None:
        """Fastest, typical and slowest seconds by the job's own clock.

        None where no rate is known.
        """
        if not self.n:
            return None
        work = self._probe if isinstance(config, ProbeConfig) else self._pretrain
        found = [work(config, which) for which in (FAST, TYPICAL, SLOW)]  # type: ignore[arg-type]
        if None in found:
            return None
        low, typical, high = (self.inside + (seconds or 0.0) for seconds in found)
        return low, typical, high

    def _pretrain(self, config: PretrainConfig, which: int) -> float | None:
        if config.pretrain is None:
            return 0.0
        rate = self.pretrain.get(config.data.size, {}).get(config.run.model)
        return (
            None if rate is None else config.pretrain.epochs * pretrain_images(config) / rate[which]
        )

    def _probe(self, config: ProbeConfig, which: int) -> float | None:
        size, stage = config.encoder.data.size, config.frozen or "scratch"
        rates = [
            table.get(size, {}).get(stage) for table in (self.prefix, self.train, self.evaluate)
        ]
        if None in rates:
            return None
        frozen, train, evaluate = (1 / rate[which] for rate in rates if rate is not None)
        n, n_test = probe_images(config)
        if isinstance(config.probe, NeighbourSettings):
            return (n + n_test) * frozen + n * n_test * evaluate / PAIRS
        epochs = config.training.epochs
        trained, evaluated = epochs * n, (epochs + 1) * n_test
        seen = (
            n * (2 if config.training.flip else 1) + n_test
        )  # by the frozen stages, once, when cached
        if not cached(config):
            seen = trained + evaluated
        return seen * frozen + trained * train + evaluated * evaluate


def cached(config: ProbeConfig) -> bool:
    """Whether the probe keeps what the frozen stages make of all training images (`features`)."""
    if config.frozen is None:
        return False
    channels, stride = OUTPUTS[config.frozen]
    floats = channels * (config.encoder.data.size // stride) ** 2
    images = probe_images(config)[0] * (2 if config.training.flip else 1)
    return 4 * floats * images <= CACHE_BYTES


@cache
def _document() -> dict[str, Any]:
    return dict(read_yaml(files("patchvae.planning").joinpath("throughput.yaml")))


def device(name: str, rates: Path | None = None) -> Device:
    """A device by its name, of a file of rates or of ours; ConfigError lists those known."""
    raw = lookup("device", {**_document()["devices"], **_own(rates)}, name)
    return Device(name=name, **raw)


def choose(
    name: str | None, gpus: int | None, cores: int | None, rates: Path | None
) -> tuple[Device, int]:
    """A device and how many of it there are.

    It is the one of this name, else the only one of a file of rates, else our GPU where GPUs are
    counted, else this machine's cores. ConfigError for GPUs counted as cores or the reverse.
    """
    own = _own(rates)
    if name is None and len(own) > 1:
        raise ConfigError(f"{rates} has several devices: choose by --gpu one of {', '.join(own)}")
    chosen = device(name or next(iter(own), GPU if gpus else CPU), rates)
    if chosen.name == CPU and gpus:
        raise ConfigError("'cpu' is no GPU: count its cores by --cores, or name a GPU by --gpu")
    if chosen.name != CPU and cores:
        raise ConfigError(f"'{chosen.name}' is a GPU: give --gpus instead of --cores")
    return chosen, (cores or os.cpu_count() or 1) if chosen.name == CPU else (gpus or 1)


def _own(rates: Path | None) -> Mapping[str, Any]:
    """The devices of a file of rates, as benchmarks/throughput.py writes it."""
    if rates is None:
        return {}
    document = read_yaml(rates)
    validate(document, "rates", rates)
    return dict(document["devices"])


def overhead(name: str) -> float:
    """CPU seconds of a part of the workflow that no device decides."""
    return float(_document()["overhead"][name])


def prepare_seconds(dataset: str) -> float | None:
    """Seconds that decoding a dataset takes, where it was measured."""
    seconds = _document()["prepare"].get(dataset)
    return None if seconds is None else float(seconds)


def weight_bytes(size: int, model: str) -> int | None:
    """Bytes of the weights that a pretraining leaves."""
    found = _document()["weights"].get(size, {}).get(model)
    return None if found is None else int(found)
