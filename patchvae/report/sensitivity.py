"""What other readings move, as csv, Markdown and a page: the same words and digits in each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from patchvae.analysis.between import Pair
from patchvae.analysis.claims import Contrast
from patchvae.analysis.paired import Estimate
from patchvae.analysis.printed import points
from patchvae.analysis.sensitivity import Effect, Moved, Sensitivity
from patchvae.analysis.stats import DIFFERS
from patchvae.report.claim_views import ONE_SEED, covers_text, interval_text, probability
from patchvae.report.compare_views import digits
from patchvae.report.grid import Rows, csv_text, markdown_table
from patchvae.report.page import Illustration
from patchvae.report.templating import environment
from patchvae.runtime.results import write_text
from patchvae.study import paths
from patchvae.study.address import CellKey
from patchvae.study.protocol import FOLLOWS, show
from patchvae.study.readings import Reading, readings
from patchvae.study.sensitivity import SENSITIVITY, Alternative
from patchvae.study.variants import short_key

HEADINGS = ("as it is", "under it", "change", "95 % interval", "p", "covers", "word")
# what begins a line with changes -> its heading
PLACE = {"alternative": "reading", "what": "row or difference"}


@dataclass(frozen=True)
class Section:
    """A table of the page, and what to know first; the first `words` columns are text."""

    title: str
    lead: str
    headings: tuple[str, ...]
    rows: Rows
    words: int = 2

    @property
    def markdown(self) -> str:
        return markdown_table(self.headings, self.rows, self.words)


def write(found: Sensitivity, figure: Illustration) -> list[Path]:
    """Write `results/<study>/sensitivity.{html,csv,md}`, the same bytes for the same cells."""
    stem = paths.RESULTS / found.study.name / SENSITIVITY
    values = {
        "found": found, "figure": figure, "headline": headline(found), "sections": sections(found),
        "readings": _varied(found), "one_seed": "" if found.bears_claims else ONE_SEED,
    }  # fmt: skip
    texts = {"html": "sensitivity.html.j2", "md": "sensitivity.md.j2"}
    written = []
    for suffix, template in texts.items():
        written.append(stem.with_suffix(f".{suffix}"))
        page = environment(autoescape=suffix == "html").get_template(template).render(values)
        write_text(written[-1], page)
    written.append(stem.with_suffix(".csv"))
    write_text(written[-1], csv_text(records(found)))
    return written


def headline(found: Sensitivity) -> str:
    """The sentences to take away."""
    told = sum(moved.word == DIFFERS for e in found.effects for moved in e.differences)
    total = sum(len(effect.differences) for effect in found.effects)
    said = [
        f"{len(found.effects)} alternatives to how the paper is read here, and what"
        f" each does to {len(list(found.reference.rows()))} rows of {found.reference.name}.",
        f"Of {total} changes of a difference that a claim is about {told} are told from noise.",
    ]
    if found.bears_claims:
        turning = sum(bool(found.turned(effect)) for effect in found.effects)
        said.append(f"A claim changes its word under {turning} of the alternatives.")
    return " ".join(said)


def sections(found: Sensitivity) -> list[Section]:
    """Readings by what they move, claims that change their word, and every row."""
    moved = [_line(effect) for effect in found.effects]
    rows = [
        [effect.alternative.name, cell_name(effect, pair.key), *_change(pair)]
        for effect in found.effects
        for pair in effect.rows
    ]
    found_sections = [
        Section(
            "What moves most",
            "The difference of two rows, as a claim has it, that each alternative changes most;"
            " the alternatives of one reading together. The largest of several noisy changes is"
            " too large on average: read the interval, and the word, which is decided after Holm.",
            ("reading", "sets", "difference", *HEADINGS), moved, 3,
        ),
        Section(
            "Every difference", "Points, under minus as it is.", (*PLACE.values(), *HEADINGS),
            [[e.alternative.name, *_difference(m)] for e in found.effects for m in e.differences],
        ),
        Section(
            "Every row", "Accuracies in percent. A row that an alternative does not concern is not"
            " trained again and not listed.", (*PLACE.values(), *HEADINGS), rows,
        ),
    ]  # fmt: skip
    if found.bears_claims:
        found_sections.insert(1, _claims(found))
    return found_sections


def _claims(found: Sensitivity) -> Section:
    """Each claim with the alternatives that change its word."""
    rows = []
    for i, claim in enumerate(found.claims):
        other: dict[str, list[str]] = {}
        for effect in found.effects:
            if (word := effect.claims[i].word) != claim.word:
                other.setdefault(word, []).append(effect.alternative.name)
        changes = "; ".join(f"{word}: {', '.join(names)}" for word, names in other.items())
        rows.append([claim.part.id, claim.part.says, claim.word, changes or "the same under each"])
    lead = (
        "The claims about these rows, judged under each alternative as in docs/claims.md. Holm"
        " goes over all of them, so a word may change with the p of another claim."
    )
    return Section("Claims", lead, ("claim", "says", "as it is", "otherwise"), rows, 4)


def _line(effect: Effect) -> list[str]:
    settings = sets(effect.alternative)
    if effect.largest is None:
        return [effect.alternative.name, settings, "none that a claim is about", *[""] * 7]
    return [effect.alternative.name, settings, *_difference(effect.largest)]


def sets(alternative: Alternative) -> str:
    """`beta_vis=0.3`: the keys of an alternative; of a protocol its name says all."""
    own = {key: value for key, value in alternative.settings.items() if key != FOLLOWS}
    return ", ".join(f"{short_key(k)}={show(v)}" for k, v in own.items()) or "a protocol"


def difference_name(difference: Contrast) -> str:
    """`patchvae - beta-vae, parts32-conv5`: without the table, the column once."""
    key = next(iter(difference.weights))
    rows = difference.text.replace(f"{key.table}/", "").replace(f"/{key.column}", "")
    return f"{rows}, {key.column}"


def _difference(moved: Moved) -> list[str]:
    values = [points(value) for value in moved.values]
    return [difference_name(moved.before), *values, *_estimate(moved.change), moved.word]


def _change(pair: Pair) -> list[str]:
    before, after = (digits(fmean(sample.values.values())) for sample in pair.samples)
    estimate = _estimate(pair.estimate) if pair.estimate is not None else [""] * 4
    return [before, after, *estimate, pair.word]


def _estimate(change: Estimate) -> list[str]:
    words = (interval_text(change), probability(change.p()), covers_text(change))
    return [points(change.difference), *words]


def cell_name(effect: Effect, key: CellKey) -> str:
    """`patchvae, parts32-conv5` of a cell under an alternative."""
    return f"{key.row.removesuffix(f',{effect.alternative.name}')}, {key.column}"


def records(found: Sensitivity) -> Iterator[Mapping[str, Any]]:
    """The csv's rows: a change of a row or of a difference each, unrounded to six digits."""
    for effect in found.effects:
        place = {
            "alternative": effect.alternative.name,
            "readings": " ".join(effect.alternative.readings),
            "sets": sets(effect.alternative),
        }
        for pair in effect.rows:
            before, after = (fmean(sample.values.values()) for sample in pair.samples)
            name = cell_name(effect, pair.key)
            numbers = _numbers(before, after, pair.estimate, pair.word)
            yield place | {"kind": "row", "what": name} | numbers
        for moved in effect.differences:
            name = difference_name(moved.before)
            numbers = _numbers(*moved.values, moved.change, moved.word)
            yield place | {"kind": "difference", "what": name} | numbers


def _numbers(before: float, after: float, change: Estimate | None, word: str) -> dict[str, Any]:
    found: dict[str, Any] = {"as_it_is": round(before, 6), "under_it": round(after, 6)}
    if change is not None:
        low, high = change.interval()
        found |= {"change": round(change.difference, 6), "low": round(low, 6)}
        found |= {"high": round(high, 6), "p": change.p(), "seeds": change.seeds}
        found |= {"covers": change.basis}
    return found | {"word": word}


def _varied(found: Sensitivity) -> list[Reading]:
    """The readings that were varied, in their order."""
    used = {name for effect in found.effects for name in effect.alternative.readings}
    return [reading for reading in readings().values() if reading.id in used]
