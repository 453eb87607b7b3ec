"""Judged claims as text: the same words and digits in every file and on a terminal."""

from dataclasses import replace

from patchvae.analysis.claims import Contrast, Evidence, Judged
from patchvae.analysis.paired import IMAGES, Estimate
from patchvae.analysis.printed import points
from patchvae.paper.claims import PREDICATES

# heading for people of each field, of a part and of a contrast
PART = {
    "claim": "claim",
    "where": "where",
    "says": "says",
    "word": "word",
    "support": "p for",
    "against": "p against",
    "contrasts": "contrasts",
}
CONTRAST = {
    "claim": "claim",
    "contrast": "contrast",
    "difference": "difference",
    "interval": "95 % interval",
    "claimed": "claimed",
    "p": "p",
    "covers": "covers",
    "paired_t": "p, paired t",
}
ONE_SEED = (
    "One seed, whose intervals cover test images and say nothing about another training: no claim"
    " of the paper is judged on this study."
)
IMAGES_ONLY = "images only: says nothing about other seeds"


def part_record(judged: Judged) -> dict[str, str]:
    """A part as text; p values after Holm."""
    tested, total = len(judged.tested), len(judged.contrasts)
    adjusted = judged.adjusted
    return {
        "claim": judged.part.id,
        "where": judged.part.where,
        "says": judged.part.says,
        "word": judged.word,
        "support": probability(adjusted.support) if adjusted else "-",
        "against": probability(adjusted.against) if adjusted else "-",
        "contrasts": str(total) if tested == total else f"{tested} of {total}",
    }


def contrast_records(judged: Judged) -> list[dict[str, str]]:
    """Those of a part that can be tested."""
    return [contrast_record(contrast) for contrast in judged.tested]


def contrast_record(contrast: Contrast) -> dict[str, str]:
    """A contrast that can be tested as text; p values before Holm."""
    estimate = contrast.estimate
    assert estimate is not None  # of those tested
    plain = replace(contrast, estimate=estimate.paired_t) if estimate.paired_t else None
    return {
        "claim": contrast.part.id,
        "contrast": contrast.text,
        "difference": points(estimate.difference),
        "interval": interval_text(estimate),
        "claimed": f"{PREDICATES[contrast.part.predicate].test} {contrast.by or 0:.2f}",
        "p": _smaller(contrast.evidence),
        "covers": covers_text(estimate),
        "paired_t": _smaller(plain.evidence if plain else None),
    }


def _smaller(evidence: Evidence | None) -> str:
    return probability(min(evidence.support, evidence.against)) if evidence else "-"


def interval_text(estimate: Estimate) -> str:
    """Its 95 % interval in points."""
    low, high = estimate.interval()
    return f"{points(low)} to {points(high)}"


def covers_text(estimate: Estimate) -> str:
    """What the interval is over."""
    return IMAGES_ONLY if estimate.basis == IMAGES else estimate.basis


def probability(p: float) -> str:
    """Two digits, or that it is below 0.0001."""
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"
