"""What one remaining job takes: from runs like it, else from its device's throughput."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from patchvae.planning.jobs import PREPARE, PROBE, TABLE, Job
from patchvae.planning.states import State, States
from patchvae.planning.throughput import (
    Device,
    Seconds,
    overhead,
    prepare_seconds,
    weight_bytes,
)
from patchvae.planning.work import probe_images
from patchvae.runtime.stage import PRETRAIN
from patchvae.study.registry import DATASETS, MODELS
from patchvae.study.runs import PretrainConfig, ProbeConfig
from patchvae.study.table_specs import ARCHITECTURE_TABLES

RECORDED, MEASURED, COMPUTED = "recorded runs", "measured throughput", "computed, not measured"
Group = tuple[str, ...]


@dataclass(frozen=True)
class Estimate:
    """Seconds that a job holds its device or core, their range, and what this rests on."""

    seconds: float
    low: float
    high: float
    basis: str


def groups_of(job: Job) -> tuple[Group, Group]:
    """Trainings that take the same time: those of the same dataset and model, then of its family.

    For probes the model does not matter: what is frozen and what is trained is the same in each.
    """
    assert job.config is not None
    run = job.config.run
    facts = MODELS[run.model]
    family = f"{facts.architecture}{'+gan' if facts.adversarial else ''}"
    if isinstance(job.config, ProbeConfig):
        return ((run.dataset, PROBE, job.config.stage),) * 2
    return (run.dataset, PRETRAIN, run.model), (run.dataset, "family", family)


class Recorded:
    """What trainings of the present configuration took on a device, also with older code.

    One that shared its device counts as what it would have taken alone, where the gain was
    measured.
    """

    def __init__(self, states: States, jobs: Iterable[Job], chosen: Device) -> None:
        self.seconds: dict[Job, float] = {}
        self._groups: dict[Group, list[float]] = {}
        for job in jobs:
            result = states.result(job) if job.config is not None else None
            if job.config is None or result is None:
                continue
            provenance = result["provenance"]
            made_here = chosen.match in str(provenance.get("device", "")).lower()
            shared = provenance.get("runs_per_gpu", 1)
            gain = chosen.gain(shared)
            if made_here and gain and result["config_digest"] == job.config.digest:
                self.seconds[job] = result["wall_seconds"] * gain / shared
                for group in set(groups_of(job)):
                    self._groups.setdefault(group, []).append(self.seconds[job])
        for seconds in self._groups.values():
            seconds.sort()  # once, not for the median of each job's others

    def like(self, job: Job) -> list[float]:
        """The seconds of the job itself when it is to run again, and of other jobs like it."""
        own = [self.seconds[job]] if job in self.seconds else []
        return own + self.others(job)

    def others(self, job: Job) -> list[float]:
        """The seconds of other jobs of the same model, or else of its family."""
        for group in groups_of(job):
            found = self._groups.get(group, [])[:]
            if job in self.seconds:
                found.remove(self.seconds[job])
            if found:
                return found
        return []


def estimate(job: Job, state: State, recorded: Recorded, chosen: Device) -> Estimate | None:
    """A remaining job: from runs like it, else from the device's throughput, else None."""
    extra = overhead("job")
    if job.config is None:
        seconds = _plain_seconds(job)
        return None if seconds is None else _estimate((seconds,) * 3, 1.0, extra, MEASURED)
    extra += chosen.start
    left = 1 - state.progress
    if like := recorded.like(job):
        return _estimate((min(like), median(like), max(like)), left, extra, RECORDED)
    if (found := chosen.seconds(job.config)) is None:
        return None
    return _estimate(found, left, extra, MEASURED if chosen.measured else COMPUTED)


def _estimate(seconds: Seconds, left: float, extra: float, basis: str) -> Estimate:
    low, typical, high = (extra + left * s for s in seconds)
    return Estimate(typical, low, high, basis)


def _plain_seconds(job: Job) -> float | None:
    if job.kind == PREPARE:
        return prepare_seconds(job.name)
    if job.kind != TABLE:
        return overhead(job.kind)
    architecture = job.name.split("/")[1] in ARCHITECTURE_TABLES
    return overhead("architecture_table" if architecture else "table")


def disk_bytes(job: Job) -> int:
    """Bytes that a job leaves.

    Images, weights, or predictions (two bytes and two bits a test image).
    """
    if job.kind == PREPARE:
        facts = DATASETS[job.name]
        return 3 * facts.size**2 * (facts.train + facts.unlabelled + facts.test)
    if isinstance(job.config, PretrainConfig):
        return weight_bytes(job.config.data.size, job.config.run.model) or 0
    if isinstance(job.config, ProbeConfig):
        return 4 * probe_images(job.config)[1]
    return 0
