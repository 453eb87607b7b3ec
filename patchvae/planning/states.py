"""The state of a job on disk, by the digests inside its files.

A file's existence or time proves nothing.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchvae.errors import CheckpointError
from patchvae.planning.jobs import CELL, DOCUMENTS, PREPARE, PROBE, Job
from patchvae.planning.work import steps
from patchvae.runtime.failures import failure_of
from patchvae.runtime.lock import live_holder, read_holder
from patchvae.runtime.results import read_result
from patchvae.runtime.stage import Config, lock_of, source_of, states_of
from patchvae.study import paths
from patchvae.study.runs import ProbeConfig
from patchvae.study.sources import source_digest
from patchvae.study.yaml_files import read_yaml

DONE, STALE, RUNNING = "done", "stale", "running"
STOPPED, FAILED, PENDING = "stopped", "failed", "not started"
WORDS = (DONE, RUNNING, STOPPED, FAILED, STALE, PENDING)


@dataclass(frozen=True)
class State:
    """A word, why, the seconds that a finished job took, and how much of a stopped one is done (0
    to 1).
    """

    word: str
    detail: str = ""
    seconds: float | None = None
    progress: float = 0.0


class States:
    """The states of jobs; what is read serves the jobs after it, so each file is read once.

    Results are those below `root`; jobs run, and fail, in the current folder.
    """

    def __init__(self, root: Path = Path()) -> None:
        self._root = root
        self._states: dict[Job, State] = {}
        self._results: dict[Job, dict[str, Any]] = {}

    def of(self, job: Job) -> State:
        """The state of a job, after those before it."""
        if job not in self._states:
            for before in job.needs:
                self.of(before)
            self._states[job] = self._judge(job)
        return self._states[job]

    def result(self, job: Job) -> dict[str, Any] | None:
        """The content of a job's result where it is whole, current or not."""
        self.of(job)
        return self._results.get(job)

    def _judge(self, job: Job) -> State:
        if job.kind in DOCUMENTS:
            return self._document(job)
        if job.config is not None and (running := _running(job, job.config)) is not None:
            return running
        found = self._found(job)
        if found is not None and found.word == DONE:
            return found
        if job.config is not None:
            return self._unfinished(job, job.config) or found or State(PENDING)
        return found or State(PENDING)

    def _found(self, job: Job) -> State | None:
        """Done or stale, by the result on disk; None when there is none."""
        path = self._root / job.target
        if not os.path.lexists(path):
            return None
        kind = "dataset" if job.kind == PREPARE else job.kind
        try:
            result = self._results[job] = read_result(path, kind)
        except CheckpointError as error:
            return State(STALE, f"altered: {error}")
        seconds = result.get("wall_seconds")
        reasons = self._reasons(job, result)
        return State(STALE if reasons else DONE, "; ".join(reasons), seconds)

    def _reasons(self, job: Job, result: Mapping[str, Any]) -> list[str]:
        """Why a whole result is not what its job would make now."""
        if job.config is not None:
            return self._training_reasons(job, job.config, result)
        if job.cell is None:
            return []
        reasons = []
        if result["config_digest"] != job.cell.config_digest:
            reasons.append("configuration")
        if result["report_digest"] != source_digest("patchvae.analysis.cells"):
            reasons.append("code")
        used = [run["digest"] for run in result["runs"]]
        probes = [(self._results.get(probe) or {}).get("digest") for probe in job.needs]
        if used != probes or any(self.of(probe).word != DONE for probe in job.needs):
            reasons.append("its probes are no longer these")
        return reasons

    def _training_reasons(self, job: Job, config: Config, result: Mapping[str, Any]) -> list[str]:
        reasons = []
        if result["config_digest"] != config.digest:
            reasons.append(f"configuration: {_changes(self._root / job.target.parent, config)}")
        if result["source_digest"] != source_of(config):
            reasons.append("code")
        before = self._results.get(job.needs[0])
        if job.kind == PROBE:
            if before is None or self.of(job.needs[0]).word != DONE:
                reasons.append(f"its pretraining is {self.of(job.needs[0]).word}")
            elif result["encoder"] != before["files"][paths.ENCODER]:
                reasons.append("its encoder is another")
        elif before is not None and result["data_digest"] != before["manifest"]["digest"]:
            reasons.append("images")
        return reasons

    def _unfinished(self, job: Job, config: Config) -> State | None:
        """Failed or stopped at the present configuration, code and images."""
        if (failure := failure_of(config)) is not None:
            line = f"exit {failure['exit_code']}: {failure['message']} ({failure['log']})"
            return State(FAILED, line)
        before = self._results.get(job.needs[0])
        if before is None:
            return None
        start = before if isinstance(config, ProbeConfig) else before["manifest"]
        saved = sorted(states_of(config, start["digest"]).glob("*.pt"))
        if not saved:
            return _killed(job, config)
        step, total = int(saved[-1].name.split("-")[0]), steps(config)
        detail = f"state saved at step {step:,} of {total:,}: the same command continues"
        return State(STOPPED, detail, progress=step / total)

    def _document(self, job: Job) -> State:
        """A table or page carries no digest.

        It is done when it exists and all before it is done.
        """
        if not os.path.lexists(self._root / job.target):
            return State(PENDING)
        if any(self.of(before).word != DONE for before in job.needs):
            return State(STALE, f"its {job.needs[0].kind}s")
        return State(DONE)


def _running(job: Job, config: Config) -> State | None:
    """Whether a live job holds the lock."""
    path = lock_of(config)
    holder = live_holder(path)
    if holder is None:
        return None
    try:
        silence = time.time() - path.stat().st_mtime
    except FileNotFoundError:  # released meanwhile
        return None
    who = f"process {holder['pid']} on {holder['host']}"
    return State(RUNNING, f"{who} since {holder['since']}, last sign {max(silence, 0):.0f} s ago")


def _killed(job: Job, config: Config) -> State | None:
    """A job that is gone without a message: its lock is still there."""
    holder = read_holder(lock_of(config))
    if holder is None:
        return None
    who = f"process {holder['pid']} on {holder['host']}"
    return State(FAILED, f"{who} was killed: no state saved, no message ({job.log})")


def _changes(folder: Path, config: Config) -> str:
    """What differs between the configuration written beside a result and the present one."""
    written = read_yaml(folder / paths.RESOLVED)
    then, now = _flat(written), _flat(config.as_dict())
    changed = [key for key in {**then, **now} if then.get(key) != now.get(key)]
    return ", ".join(f"{key} {then.get(key)} -> {now.get(key)}" for key in changed)


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def cell_state(states: States, job: Job) -> State:
    """A cell as a reader sees it: its own state, or what keeps it from being done."""
    assert job.kind == CELL
    own = states.of(job)
    if own.word == DONE:
        return own
    chain = [*job.needs, *(before for probe in job.needs for before in probe.needs)]
    found = [(other, states.of(other)) for other in dict.fromkeys(chain)]
    for word in (FAILED, RUNNING, STOPPED):
        hits = [(other, state) for other, state in found if state.word == word]
        if hits:
            other, state = hits[0]
            more = f" (and {len(hits) - 1} more)" if len(hits) > 1 else ""
            return State(word, f"{other.name}: {state.detail}{more}")
    return own if own.word == STALE else _seeds_so_far(states, job, own)


def _seeds_so_far(states: States, job: Job, own: State) -> State:
    done = sum(states.of(probe).word == DONE for probe in job.needs)
    stale = [states.of(probe) for probe in job.needs if states.of(probe).word == STALE]
    if stale:
        return State(STALE, stale[0].detail)
    return State(own.word, f"{done} of {len(job.needs)} seeds probed" if done else "")
