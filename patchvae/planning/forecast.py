"""What is left to compute.

Jobs, device hours, wall time and disk, with the spread of what they rest on.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median

from patchvae.errors import ConfigError
from patchvae.planning.jobs import CELL, PREPARE, PROBE, REPORT, TRAINED, Job, jobs_for, with_needs
from patchvae.planning.states import DONE, RUNNING, State, States
from patchvae.planning.throughput import (
    Device,
    Seconds,
    device,
    overhead,
    prepare_seconds,
    weight_bytes,
)
from patchvae.planning.work import probe_images
from patchvae.runtime.stage import PRETRAIN
from patchvae.study.registry import DATASETS, MODELS
from patchvae.study.runs import PretrainConfig, ProbeConfig
from patchvae.study.tables import ARCHITECTURE_TABLES

RECORDED, MEASURED, COMPUTED = "recorded runs", "measured throughput", "computed, not measured"


@dataclass(frozen=True)
class Estimate:
    """Seconds that a job holds its device or core, their range, and what this rests on."""

    seconds: float
    low: float
    high: float
    basis: str


@dataclass(frozen=True)
class Check:
    """Finished jobs forecast as if they were not: measured seconds over forecast ones."""

    basis: str
    ratios: tuple[float, ...]

    @property
    def sentence(self) -> str:
        """`12 finished jobs took 0.97 (0.80 to 1.31) times ...`."""
        found = sorted(self.ratios)
        return (
            f"{len(found)} finished trainings took {median(found):.2f} times what {self.basis}"
            f" predict ({found[0]:.2f} to {found[-1]:.2f})"
        )


@dataclass(frozen=True)
class Forecast:
    """The remaining jobs in an order that respects their needs, and an estimate for each where
    known.

    An estimate is that of a training alone on its device; `runs_per_gpu` of them may share one.
    """

    device: Device
    slots: int
    remaining: tuple[Job, ...]
    running: int
    estimates: Mapping[Job, Estimate]
    disk: int
    checks: tuple[Check, ...]
    cells: tuple[Job, ...] = field(repr=False)
    runs_per_gpu: int = 1

    @property
    def gain(self) -> float:
        """Total rate of the trainings that share a device, one alone being 1.

        Never more than was measured.
        """
        return self.device.gain(self.runs_per_gpu) or 1.0

    @cached_property
    def unknown(self) -> list[Job]:
        """Remaining jobs without an estimate.

        With a training among them there are no hours to give.
        """
        return [job for job in self.remaining if job not in self.estimates]

    @property
    def complete(self) -> bool:
        return not any(job.kind in TRAINED for job in self.unknown)

    def hours(self, which: str = "seconds") -> float:
        """Device hours of all trainings; `which` is seconds, low or high."""
        trained = (self.estimates[job] for job in self.remaining if job.kind in TRAINED)
        return sum(getattr(estimate, which) for estimate in trained) / self.gain / 3600

    def wall(self, which: str = "seconds") -> float:
        """Seconds from start to end with `slots` devices or cores."""
        shared = self.runs_per_gpu / self.gain  # how much longer a training takes beside others
        seconds = {
            job: getattr(e, which) * (shared if job.kind in TRAINED else 1)
            for job, e in self.estimates.items()
        }
        slots = self.slots * self.runs_per_gpu
        return overhead("workflow") + makespan(self.remaining, seconds, slots, self._slotted)

    @property
    def _slotted(self) -> tuple[str, ...] | None:
        """On a cluster only trainings wait for a device; on one machine every job takes a core."""
        return None if self.device.name == "cpu" else TRAINED


def forecast(
    targets: Sequence[str], device_name: str, slots: int, runs_per_gpu: int = 1
) -> Forecast:
    """Forecast what is left of targets on `slots` devices, each shared by `runs_per_gpu` trainings.

    ConfigError for an unknown target or device, and for cores that are to be shared.
    """
    chosen, states = device(device_name), States()
    if chosen.name == "cpu" and runs_per_gpu > 1:
        raise ConfigError(
            "trainings share GPUs, not cores: name a GPU (--gpu), or leave --runs-per-gpu out"
        )
    jobs = with_needs(job for target in targets for job in jobs_for(target))
    found = {job: states.of(job) for job in jobs}
    recorded = Recorded(states, jobs, chosen)
    remaining = tuple(job for job in jobs if found[job].word != DONE)
    estimates = {job: estimate(job, found[job], recorded, chosen) for job in remaining}
    return Forecast(
        device=chosen,
        slots=slots,
        remaining=remaining,
        running=sum(state.word == RUNNING for state in found.values()),
        estimates={job: e for job, e in estimates.items() if e is not None},
        disk=sum(disk_bytes(job) for job in remaining),
        checks=tuple(_checks(recorded, chosen)),
        cells=tuple(job for job in remaining if job.kind == CELL),
        runs_per_gpu=runs_per_gpu,
    )


Group = tuple[str, ...]


def groups_of(job: Job) -> tuple[Group, Group]:
    """Trainings that take the same time: those of the same dataset and model, then of its family.

    For probes the model does not matter: what is frozen and what is trained is the same in each.
    """
    assert job.config is not None
    run = job.config.run
    facts = MODELS[run.model]
    family = f"{facts.architecture}{'+gan' if facts.adversarial else ''}"
    if isinstance(job.config, ProbeConfig):
        return ((run.dataset, PROBE, job.config.name),) * 2
    return (run.dataset, PRETRAIN, run.model), (run.dataset, "family", family)


class Recorded:
    """What trainings of the present configuration took on a device, also with older code.

    One that shared its device counts as what it would have taken alone, where the gain was
    measured.
    """

    def __init__(self, states: States, jobs: Iterable[Job], chosen: Device) -> None:
        self.seconds: dict[Job, float] = {}
        self._groups: dict[Group, list[Job]] = {}
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
                    self._groups.setdefault(group, []).append(job)

    def like(self, job: Job) -> list[float]:
        """The seconds of the job itself when it is to run again, and of other jobs like it."""
        own = [self.seconds[job]] if job in self.seconds else []
        return own + self.others(job)

    def others(self, job: Job) -> list[float]:
        """The seconds of other jobs of the same model, or else of its family."""
        for group in groups_of(job):
            if found := [self.seconds[j] for j in self._groups.get(group, ()) if j != job]:
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
    if job.kind in (CELL, REPORT):
        return overhead(job.kind)
    architecture = job.name.split("/")[1] in ARCHITECTURE_TABLES
    return overhead("architecture_table" if architecture else "table")


def makespan(
    jobs: Sequence[Job],
    seconds: Mapping[Job, float],
    slots: int,
    slotted: tuple[str, ...] | None = None,
) -> float:
    """Seconds until all jobs are done when the first that is ready takes the first free slot.

    Kinds not in `slotted` take no slot; None means that all do. A job without seconds takes none.
    """
    place = {job: i for i, job in enumerate(jobs)}
    missing = [sum(before in place for before in job.needs) for job in jobs]
    after: dict[Job, list[int]] = {}
    for job, i in place.items():
        for before in job.needs:
            after.setdefault(before, []).append(i)
    takes = [slotted is None or job.kind in slotted for job in jobs]
    ready: dict[bool, list[int]] = {True: [], False: []}
    for i, count in enumerate(missing):
        if not count:
            ready[takes[i]].append(i)
    busy: list[tuple[float, int]] = []
    now, free = 0.0, slots
    while busy or any(ready.values()):
        while ready[False] or (free and ready[True]):
            i = heapq.heappop(ready[False] or ready[True])
            free -= takes[i]
            heapq.heappush(busy, (now + seconds.get(jobs[i], 0.0), i))
        now, i = heapq.heappop(busy)
        free += takes[i]
        for later in after.get(jobs[i], ()):
            missing[later] -= 1
            if not missing[later]:
                heapq.heappush(ready[takes[later]], later)
    return now


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


def _checks(recorded: Recorded, chosen: Device) -> Iterable[Check]:
    """How forecasts would have done on what is finished, by both ways of making one."""
    from_runs, from_rates = [], []
    for job, seconds in recorded.seconds.items():
        if others := recorded.others(job):
            from_runs.append(seconds / median(others))
        if job.config is not None and (found := chosen.seconds(job.config)) is not None:
            from_rates.append(seconds / found[1])
    if from_runs:
        yield Check("runs like them", tuple(from_runs))
    if from_rates:
        yield Check(f"the rates of '{chosen.name}'", tuple(from_rates))


@dataclass(frozen=True)
class Choice:
    """A cell that fits a budget: the hours it adds and those spent so far."""

    cell: Job
    hours: float
    spent: float


def fit(result: Forecast, budget: float) -> list[Choice]:
    """Cells that fit `budget` device hours, at each point the one that adds least; runs count once.

    A cell with a training whose time is not known is left out.
    """
    trained = [job for job in result.remaining if job.kind in TRAINED]
    estimates = result.estimates
    costs = {j: estimates[j].seconds / result.gain / 3600 for j in trained if j in estimates}
    untimed = set(trained) - costs.keys()
    needed = {cell: with_needs([cell]) for cell in result.cells}
    chains = {
        c: [j for j in js if j in costs] for c, js in needed.items() if untimed.isdisjoint(js)
    }
    bought: set[Job] = set()
    spent, chosen = 0.0, []
    while chains:
        price = {c: sum(costs[j] for j in chain if j not in bought) for c, chain in chains.items()}
        cell = min(price, key=price.__getitem__)
        if spent + price[cell] > budget:
            break
        spent += price[cell]
        bought.update(chains.pop(cell))
        chosen.append(Choice(cell, price[cell], spent))
    return chosen
