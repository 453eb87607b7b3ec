"""What is left to compute.

Jobs, device hours, wall time and disk, with the spread of what they rest on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median

from patchvae.errors import ConfigError
from patchvae.planning.estimates import Estimate, Recorded, disk_bytes, estimate
from patchvae.planning.jobs import CELL, TRAINED, Job, jobs_for, with_needs
from patchvae.planning.makespan import makespan
from patchvae.planning.states import DONE, RUNNING, States
from patchvae.planning.throughput import CPU, Device, overhead


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
        return None if self.device.name == CPU else TRAINED


def forecast(targets: Sequence[str], chosen: Device, slots: int, runs_per_gpu: int = 1) -> Forecast:
    """Forecast what is left of targets on `slots` devices, each shared by `runs_per_gpu` trainings.

    ConfigError for an unknown target, and for cores that are to be shared.
    """
    states = States()
    if chosen.name == CPU and runs_per_gpu > 1:
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
