"""A study's cells beside the paper's numbers: verdicts, rankings and claims.

Only the study `paper` follows the printed protocol, so only there is a number judged; the claims
are judged for every study of two seeds or more. docs/comparison.md explains each verdict.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from patchvae.analysis.cells import failed_cells, refuse_mixtures, sample_of
from patchvae.analysis.claims import Judged, judge
from patchvae.analysis.noise import Noise, seed_noise
from patchvae.analysis.paired import Sample
from patchvae.analysis.rankings import Ranking, rankings
from patchvae.analysis.stats import Interval, Verdict, verdict
from patchvae.errors import CheckpointError
from patchvae.paper.claims import Part, load_claims
from patchvae.paper.published import paper_value
from patchvae.paper.readings import readings_of
from patchvae.runtime.results import read_result
from patchvae.study import paths
from patchvae.study.address import CellKey
from patchvae.study.config import Study, load_study
from patchvae.study.tables import study_cells

NOT_RUN, FAILED, DONE, UNPUBLISHED = "not run", "failed", "done", "not in the paper"


@dataclass(frozen=True)
class Row:
    """One expected cell: its accuracies and predictions, the failed seeds, and what follows."""

    key: CellKey
    word: str
    sample: Sample
    failed: Mapping[int, str]
    interval: Interval | None
    interval_kind: str
    sd: float | None
    n_test: int | None
    paper: float | None
    verdict: Verdict | None
    readings: tuple[str, ...]

    @property
    def values(self) -> Mapping[int, float]:
        """Accuracies by seed in percent."""
        return self.sample.values

    @property
    def mean(self) -> float | None:
        return fmean(self.values.values()) if self.values else None


@dataclass(frozen=True)
class Comparison:
    """Everything that `patchvae compare` shows and writes."""

    study: Study
    rows: tuple[Row, ...]
    rankings: tuple[Ranking, ...]
    noise: tuple[Noise, ...]
    claims: tuple[Judged, ...]
    documents: tuple[Mapping[str, Any], ...]  # of the cells that have numbers, as on disk

    @property
    def judged(self) -> bool:
        return self.study.is_the_papers

    @property
    def counts(self) -> dict[str, int]:
        """How many cells got each word, most first."""
        words = [row.word for row in self.rows]
        return dict(sorted(((w, words.count(w)) for w in set(words)), key=lambda i: (-i[1], i[0])))


def compare(
    study: Study,
    root: Path,
    expected: Collection[CellKey],
    *,
    config_digests: Mapping[CellKey, str] | None = None,
    partial: Mapping[CellKey, Mapping[str, Any]] | None = None,
    claims: Sequence[Part] | None = None,
    readings: Mapping[CellKey, Sequence[str]] | None = None,
) -> Comparison:
    """Compare the cells under `root/results/<study>` that a study expects, in the order given.

    `partial` holds what there is of cells with failed seeds, in place of their files. A cell whose
    `config_digests` entry differs is refused, as are altered files and cells of one data set that
    differ in data, sources or test images (CheckpointError). `claims` default to C1-C12. `readings`
    are those of ours behind each cell.
    """
    files = {key: root / key.path(study.name) for key in expected}
    documents = {
        key: (partial or {}).get(key) or _read(study, key, file) for key, file in files.items()
    }
    found = {key: document for key, document in documents.items() if document is not None}
    for key, document in found.items():
        wanted = (config_digests or {}).get(key, document["config_digest"])
        if document["config_digest"] != wanted:
            raise CheckpointError(
                f"{files[key]} was made with another configuration: run its job again"
            )
    refuse_mixtures({files[key]: d for key, d in found.items() if d["values"]})
    ours = readings or {}
    rows = tuple(_row(study, key, d, ours.get(key, ())) for key, d in documents.items())
    return Comparison(
        study=study,
        rows=rows,
        rankings=tuple(rankings(_pairs(rows))),
        noise=tuple(seed_noise(_scatter(row, found[row.key]) for row in rows if row.values)),
        claims=tuple(_claims(rows, claims or load_claims())) if bears_claims(study) else (),
        documents=tuple(document for document in found.values() if document["values"]),
    )


def compare_study(study: str, claims: Path | None = None, root: Path = Path()) -> Comparison:
    """`compare` of a study below `root`: stale cells are refused, failed jobs shown as failed."""
    cells = study_cells(study)
    digests = {cell.address: cell.config_digest for cell in cells}
    return compare(
        load_study(study),
        root,
        list(digests),
        config_digests=digests,
        partial=failed_cells(cells) if root == Path() else None,
        claims=load_claims(claims) if claims else None,
        readings={cell.address: readings_of(cell.probes()[0], origin="ours") for cell in cells},
    )


def root_of(study: str) -> Path:
    """Where a study's results lie: here, or in `published/` where only that has any."""
    here = paths.RESULTS / study
    own = any((here / name).exists() for name in ("cells", "runs", "failed"))
    published = (paths.PUBLISHED / here).exists()
    return paths.PUBLISHED if published and not own else Path()


def _read(study: Study, key: CellKey, path: Path) -> dict[str, Any] | None:
    """The cell's file once digest, place and published value are checked.

    None when there is none.
    """
    if not os.path.lexists(path):
        return None
    document = read_result(path, "cell")
    place = (document["study"], document["table"], document["row"], document["column"])
    if place != (study.name, *key):
        raise CheckpointError(
            f"{path} is the cell {'/'.join(place)}: delete it and run its job again"
        )
    if document["paper"] != paper_value(study, key):
        raise CheckpointError(
            f"{path} names another published value than the package: run its job again"
        )
    return document


def _row(
    study: Study, key: CellKey, document: Mapping[str, Any] | None, readings: Sequence[str]
) -> Row:
    document = document or {"seeds": [], "values": [], "failed": []}
    sample = sample_of(document)
    values = sample.values
    failed = {entry["seed"]: entry["error"] for entry in document["failed"]}
    paper = paper_value(study, key)
    judgement = None
    if values and paper is not None:
        judgement = verdict(list(values.values()), document["n_test"], paper)
    return Row(
        key=key,
        word=_word(study, values, failed, judgement),
        sample=sample,
        failed=failed,
        interval=tuple(document["interval"]) if values else None,
        interval_kind=document["interval_kind"] if values else "",
        sd=document.get("sd"),
        n_test=document.get("n_test"),
        paper=paper,
        verdict=judgement,
        readings=tuple(readings),
    )


def _scatter(
    row: Row, document: Mapping[str, Any]
) -> tuple[CellKey, str, str, Mapping[int, float]]:
    return row.key, document["model"], document["probe"], row.values


def _word(
    study: Study, values: Mapping[int, float], failed: Mapping[int, str], judgement: Verdict | None
) -> str:
    if not values:
        return FAILED if failed else NOT_RUN
    if judgement:
        return judgement.word
    return UNPUBLISHED if study.is_the_papers else DONE


def bears_claims(study: Study) -> bool:
    """Whether claims are judged: one seed says nothing about another training, so not by one."""
    return len(study.seeds) > 1


def _claims(rows: Sequence[Row], parts: Iterable[Part]) -> list[Judged]:
    done = [row for row in rows if row.values]
    return judge(
        parts,
        {row.key: row.sample for row in done},
        cells=[row.key for row in rows],
        n_test={row.key.dataset: row.n_test for row in done if row.n_test},
    )


def _pairs(rows: Iterable[Row]) -> Iterator[tuple[CellKey, float, float]]:
    """The paper's value and ours of each cell that has both."""
    for row in rows:
        if row.verdict and row.paper is not None:
            yield row.key, row.paper, row.verdict.mean
