"""Loss terms of a pretraining beside those of other seeds with the same configuration.

A term x of an epoch, of which K >= 2 other seeds have mean m and sample deviation s, is expected
within the prediction interval

    m -+ t(1 - 0.05 / 2T, K - 1) s sqrt(1 + 1/K)

T being the number of terms, so that an epoch of an honest run leaves it in any term at most 5 times
in 100. A term outside for `IN_A_ROW` epochs is said once. Nothing here touches a digit of a run.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import sqrt
from statistics import fmean, stdev

from patchvae.errors import CheckpointError, DivergedError, SuiteError
from patchvae.runtime.history import Row, read_named_rows, read_rows
from patchvae.runtime.launch import rank
from patchvae.runtime.progress import log
from patchvae.runtime.results import read_current, read_result, verify_file, write_result
from patchvae.study import paths
from patchvae.study.runs import PretrainConfig, Run, resolve_run
from patchvae.study.tables import study_cells

IN_A_ROW = 3
LEVEL = 0.05
DIGITS = 1e-5  # relative: published terms have six digits
NO_TERMS = ("epoch", "images_per_second")

History = Sequence[Row]


@dataclass(frozen=True)
class Outside:
    """A term that left its envelope at `epoch` and was still outside `IN_A_ROW` epochs on."""

    term: str
    epoch: int
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"{self.term} is outside what other seeds had since epoch {self.epoch}:"
            f" {self.value:.4g}, expected {self.low:.4g} to {self.high:.4g}"
        )


def envelope(others: Sequence[History]) -> list[dict[str, tuple[float, float]]]:
    """By epoch and term the lowest and the highest value to be expected; others at least two."""
    from scipy.special import stdtrit

    K, names = len(others), [name for name in others[0][0] if name not in NO_TERMS]
    t = float(stdtrit(K - 1, 1 - LEVEL / (2 * len(names))))
    found = []
    for rows in zip(*others, strict=False):
        bounds = {}
        for name in names:
            values = [row[name] for row in rows]
            half = t * stdev(values) * sqrt(1 + 1 / K) + DIGITS * abs(fmean(values))
            bounds[name] = (fmean(values) - half, fmean(values) + half)
        found.append(bounds)
    return found


def outside(history: History, others: Sequence[History]) -> list[Outside]:
    """The terms that were outside for `IN_A_ROW` epochs, at the first such time of each."""
    found: dict[str, Outside] = {}
    streak: dict[str, list[Outside]] = {}
    for row, expected in zip(history, envelope(others), strict=False):
        for name, (low, high) in expected.items():
            inside = low <= row[name] <= high
            now = Outside(name, round(row["epoch"]), row[name], low, high)
            streak[name] = [] if inside else [*streak.get(name, []), now]
            if len(streak[name]) == IN_A_ROW:
                found.setdefault(name, replace(now, epoch=streak[name][0].epoch))
    return list(found.values())


def others_of(config: PretrainConfig) -> dict[str, History]:
    """Histories of the same configuration but for the seed, by where each is from.

    Finished runs of this folder, and the published study's of the other seeds, and of this one.
    """
    found = dict(_published(config))
    for path in sorted(config.run.folder.parent.glob("seed*/pretrain")):
        run = Run.parse(str(path))
        with suppress(SuiteError):  # a result that is no longer whole or current says nothing
            if run != config.run:
                found[str(path)] = _finished(resolve_run(run))
                found.pop(f"published seed{run.seed}", None)
    return found


def _finished(config: PretrainConfig) -> History:
    """history.csv of a run; CheckpointError unless it is of this configuration."""
    folder = config.run.pretrain
    result = read_result(folder / paths.METRICS, "pretrain", check_files=False)
    if result["config_digest"] != config.digest:
        raise CheckpointError(f"{folder} was made with another configuration: run its job again")
    verify_file(folder / paths.HISTORY, result["files"][paths.HISTORY])
    return read_rows(folder / paths.HISTORY)


def _published(config: PretrainConfig) -> Iterator[tuple[str, History]]:
    """The published histories, if a published cell says that the configuration is this one."""
    run = config.run
    path = paths.PUBLISHED / paths.RESULTS / run.study / paths.TERMS
    if not path.exists() or not _is_published(run):
        return
    rows = list(read_named_rows(path))
    for seed in run.of_study.seeds:
        if own := [row for name, row in rows if name == replace(run, seed=seed).name]:
            yield f"published seed{seed}", own


def _is_published(run: Run) -> bool:
    """Whether a published cell rests on this run, with its present configuration."""
    for cell in study_cells(run.study):
        if (cell.dataset, cell.row.model) != (run.dataset, run.model):
            continue
        if cell.probes()[0].run.variant == run.variant:
            with suppress(CheckpointError):
                read_current(paths.PUBLISHED / cell.path, "cell", cell.config_digest)
                return True
    return False


class Watch:
    """Looks at a pretraining after each epoch, and keeps what it saw in `results/.../watched/`."""

    def __init__(self, config: PretrainConfig) -> None:
        self.config = config
        self.others = others_of(config)
        self.said: set[str] = set()

    def look(self, history: History) -> None:
        """Log a term that is outside; DivergedError then if the study says `stop_outside`."""
        if len(self.others) < 2:
            return
        found = outside(history, list(self.others.values()))
        self._keep(history, found)
        for item in found:
            if item.term not in self.said:
                log(f"{self.config.run.name}: warning: {item}")
                self.said.add(item.term)
        if found and self.config.run.of_study.stop_outside:
            raise DivergedError(
                f"{self.config.run.name}: {found[0]}; {self.config.run.study_file} says"
                " stop_outside: look at the run, or take that line out"
            )

    def _keep(self, history: History, found: Sequence[Outside]) -> None:
        if rank() > 0:
            return
        document = {
            "run": self.config.run.name,
            "config_digest": self.config.digest,
            "history": [dict(row) for row in history],
            "outside": [str(item) for item in found],
        }
        path = paths.watched(self.config.run.study, self.config.run.name)
        write_result(path, "watched", document)


def warnings_of(config: PretrainConfig) -> list[str]:
    """What was outside in a run of this configuration, running or ended, as its log has it."""
    path = paths.watched(config.run.study, config.run.name)
    if not path.exists():
        return []
    record = read_result(path, "watched")
    return list(record["outside"]) if record["config_digest"] == config.digest else []


def seen_of(config: PretrainConfig) -> History:
    """The epochs of a run so far: those of its result, or of the training that goes on.

    CheckpointError when there is neither.
    """
    if (config.run.pretrain / paths.METRICS).exists():
        return _finished(config)
    path = paths.watched(config.run.study, config.run.name)
    return list(read_current(path, "watched", config.digest)["history"])
