"""What other readings of the paper do to a study's numbers and to the claims about them.

For an alternative a of a reading, and a row or a difference of rows with the value x, the change is

    x under a  -  x as the study has it

a contrast of cells that share seeds and test images (paired.py). Rows that an alternative does not
concern have the same runs in both, and cancel. Words are decided after Holm over all changes of
rows, and apart from these over all of differences; those of claims as in docs/claims.md, under each
alternative anew.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from patchvae.analysis.between import LEVEL, NONE_SHOWN, UNTESTABLE, Pair, judged
from patchvae.analysis.cells import read_cell, refuse_mixtures, sample_of
from patchvae.analysis.claims import Contrast, Judged, judge
from patchvae.analysis.compare import bears_claims
from patchvae.analysis.paired import Estimate, Sample, contrast
from patchvae.analysis.stats import DIFFERS, holm
from patchvae.paper.claims import Part, Universe, load_claims
from patchvae.study.address import CellKey
from patchvae.study.config import Study, load_study
from patchvae.study.sensitivity import SENSITIVITY, Alternative
from patchvae.study.tables import Table, changed, load_table, reference

PLAIN = "plain"  # what a claim's empty value of a variable is called, `-lw` beside it

Documents = Mapping[CellKey, Mapping[str, Any]]


@dataclass(frozen=True)
class Moved:
    """A claim's difference as the study has it and under an alternative, and the change."""

    before: Contrast
    after: Contrast
    change: Estimate
    word: str = UNTESTABLE

    @property
    def values(self) -> tuple[float, float]:
        """Points as the study has it, and under the alternative."""
        before, after = self.before.estimate, self.after.estimate
        assert before is not None  # of what can be tested
        assert after is not None
        return before.difference, after.difference


@dataclass(frozen=True)
class Effect:
    """One alternative: the changes of rows and of differences, and the claims under it."""

    alternative: Alternative
    rows: tuple[Pair, ...]
    differences: tuple[Moved, ...]
    claims: tuple[Judged, ...]

    @property
    def largest(self) -> Moved | None:
        """The difference that moves most."""
        return max(self.differences, key=lambda m: abs(m.change.difference), default=None)

    @property
    def moves(self) -> float:
        """Points by which it moves a difference at most; a row, where there is no difference."""
        found = [moved.change for moved in self.differences]
        found = found or [pair.estimate for pair in self.rows if pair.estimate is not None]
        return max((abs(estimate.difference) for estimate in found), default=0.0)


@dataclass(frozen=True)
class Sensitivity:
    """The claims as the study has them, and each alternative, what moves most first.

    Without `bears_claims` no claim has a word. Alternatives of one reading stand together.
    """

    study: Study
    reference: Table
    claims: tuple[Judged, ...]
    effects: tuple[Effect, ...]

    @property
    def bears_claims(self) -> bool:
        return bears_claims(self.reference.study)

    def turned(self, effect: Effect) -> list[tuple[Judged, Judged]]:
        """The claims whose word an alternative changes, as the study has them and under it."""
        both = zip(self.claims, effect.claims, strict=True)
        return [(a, b) for a, b in both if self.bears_claims and a.word != b.word]


def sensitivity(study: str) -> Sensitivity:
    """From the cells of the study's table `sensitivity`.

    CheckpointError when one is absent, altered or of another configuration.
    """
    base = reference(load_study(study))
    cells = load_table(study, SENSITIVITY).cells()
    documents = {cell.address: read_cell(cell) for cell in cells}
    refuse_mixtures({cell.path: documents[cell.address] for cell in cells})
    return judge_all(base, changed(base), documents)


def judge_all(
    base: Table, alternatives: Mapping[Alternative, Mapping[str, Any]], documents: Documents
) -> Sensitivity:
    """`alternatives` have the changed rows by the key of the row in `base`."""
    keys = {cell.address: CellKey(SENSITIVITY, *cell.address[1:]) for cell in base.cells()}
    before = {key: documents[own] for key, own in keys.items()}
    parts = list(_about(load_claims(), keys))
    claims = _claims(parts, before)
    effects = []
    for alternative, rows in alternatives.items():
        own = {
            key: CellKey(SENSITIVITY, rows[key.row].key, key.column)
            for key in keys
            if key.row in rows
        }
        after = before | {key: documents[other] for key, other in own.items()}
        others = _claims(parts, after)
        pairs = [
            (other, before[key], after[key])
            for key, other in own.items()
            if _other(before[key], after[key])
        ]
        effects.append((alternative, pairs, list(_moved(claims, others, before, after)), others))
    return Sensitivity(base.study, base, claims, tuple(_ordered(_worded(effects))))


def _claims(parts: Sequence[Part], documents: Documents) -> tuple[Judged, ...]:
    return tuple(
        judge(
            parts,
            {key: sample_of(document) for key, document in documents.items()},
            cells=documents.keys(),
            n_test={key.dataset: document["n_test"] for key, document in documents.items()},
        )
    )


def _about(parts: Sequence[Part], keys: Collection[CellKey]) -> Iterator[Part]:
    """The parts about some cells, averaged over what there is of their variables."""
    universe, known = Universe(frozenset(keys)), set(keys)
    for part in parts:
        there = [binding for binding, used in part.expand(universe) if known.issuperset(used)]
        if there:
            kept = {name: {binding[name] for binding in there} for name in part.average}
            yield _limited(part, kept)


def _limited(part: Part, kept: Mapping[str, set[str]]) -> Part:
    """A part averaged over some values of its variables, which it says where that is not all."""
    variables, said = dict(part.variables), []
    for name, values in kept.items():
        variables[name] = tuple(value for value in part.variables[name] if value in values)
        if variables[name] != part.variables[name]:
            said.append(f"{name} {', '.join(value or PLAIN for value in variables[name])} only")
    return replace(
        part,
        variables=variables,
        average=tuple(name for name in part.average if len(variables[name]) > 1),
        says=" (".join([part.says, *said]) + ")" * len(said),
    )


def _moved(
    claims: Sequence[Judged], others: Sequence[Judged], before: Documents, after: Documents
) -> Iterator[Moved]:
    """The differences of tested claims in which a row has other runs, each difference once."""
    seen = set()
    for a, b in zip(claims, others, strict=True):
        for old, new in zip(a.contrasts, b.contrasts, strict=True):
            weights = frozenset(old.weights.items())
            if old.estimate is None or weights in seen:
                continue
            seen.add(weights)
            change = _change(old.weights, before, after)
            if change is not None:
                yield Moved(old, new, change)


def _change(
    weights: Mapping[CellKey, float], before: Documents, after: Documents
) -> Estimate | None:
    """Of a weighted sum of cells; None where all have the same runs."""
    terms: list[tuple[float, Sample]] = []
    for key, weight in weights.items():
        if _other(before[key], after[key]):
            terms += [(weight, sample_of(after[key])), (-weight, sample_of(before[key]))]
    return contrast(terms) if terms else None


def _other(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether two cells have other runs: an alternative may leave those of a dataset alone."""
    return bool(before["config_digest"] != after["config_digest"])


def _worded(effects: Sequence[tuple[Any, ...]]) -> Iterator[Effect]:
    """Words after Holm over all alternatives: of rows, and of differences."""
    pairs = iter(judged([pair for _, own, _, _ in effects for pair in own]))
    p = iter(holm([m.change.p() for _, _, moved, _ in effects for m in moved]))
    for alternative, own, moved, claims in effects:
        differences = tuple(
            replace(m, word=DIFFERS if next(p) < LEVEL else NONE_SHOWN) for m in moved
        )
        yield Effect(alternative, tuple(next(pairs) for _ in own), differences, claims)


def _ordered(effects: Iterator[Effect]) -> list[Effect]:
    """What moves most first; the alternatives of one reading together."""
    found = list(effects)
    most: dict[tuple[str, ...], float] = {}
    for effect in found:
        group = effect.alternative.readings
        most[group] = max(effect.moves, most.get(group, 0.0))
    return sorted(
        found, key=lambda e: (-most[e.alternative.readings], e.alternative.readings, -e.moves)
    )
