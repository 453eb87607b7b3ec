"""Claim: where no row differs, 1.1 to 3.0 % of studies have a false word about a claim.

    python benchmarks/false_claims.py

Simulated studies with every cell of the paper's Tables 1-5, judged on C1-C12 with Holm's
correction. An answer is right where the sum of an image's difficulty, the row's own view of the
image, the luck of its seed and that of the single answer is positive; all rows have the same
expectation. Counted are the studies with at least one such word for a part that says 'above 0'.
Where rows see images alike, also as for cells without predictions, by the paired t over seeds
alone. The second table says why the larger p of two estimates judges: how often a difference of
zero has a p below 0.05, 0.01 and 0.001, in normal data whose variance by images is known.
"""

import argparse
from collections.abc import Mapping
from math import sqrt
from statistics import fmean

import numpy as np
from common import head, row

from patchvae.analysis.claims import CONTRADICTED, SO_FAR, SUPPORTED, judge
from patchvae.analysis.paired import Sample
from patchvae.paper.claims import ABOVE, PREDICATES, load_claims
from patchvae.paper.published import accuracy
from patchvae.study.address import CellKey

IMAGES = 200
PARTS = load_claims()
# standard deviations beside an image's difficulty of 1: row and image, row and seed, single answers
KINDS = {"images and seeds": (0.5, 0.04, 0.7), "seeds": (0.0, 0.2, 0.3)}


def study(rng: np.random.Generator, K: int, kind: str) -> dict[CellKey, Sample]:
    """Every published cell with K seeds; the cells of a dataset share its images."""
    own, seed, single = KINDS[kind]
    keys = list(accuracy())
    names = dict.fromkeys(key.dataset for key in keys)
    difficulty = {name: rng.normal(0.5, 1, IMAGES) for name in names}
    samples = {}
    for key in keys:
        latent = difficulty[key.dataset] + rng.normal(0, own, IMAGES) + rng.normal(0, seed, (K, 1))
        right = latent + rng.normal(0, single, (K, IMAGES)) > 0
        values = dict(enumerate(100 * right.mean(1)))
        samples[key] = Sample(values, dict(enumerate(right)))
    return samples


def false_words(samples: Mapping[CellKey, Sample]) -> tuple[bool, bool]:
    """Whether a directional part is supported, and whether one is contradicted."""
    n_test = {key.dataset: IMAGES for key in samples}
    words = {
        judged.word
        for judged in judge(PARTS, samples, cells=(), n_test=n_test)
        if PREDICATES[judged.part.predicate].test == ABOVE and judged.part.by == 0
    }
    return bool(words & {SUPPORTED, SO_FAR}), CONTRADICTED in words


def counts(studies: int, K: int, kind: str) -> None:
    """The rates of one kind of study and number of seeds."""
    rng = np.random.default_rng(K)
    found: dict[str, list[tuple[bool, bool]]] = {"seeds and images": [], "seeds": []}
    for _ in range(studies):
        samples = study(rng, K, kind)
        found["seeds and images"].append(false_words(samples))
        if kind == "seeds":
            plain = {key: Sample(sample.values, {}) for key, sample in samples.items()}
            found["seeds"].append(false_words(plain))
    for basis, words in found.items():
        if words:
            rates = (rate([word[i] for word in words]) for i in (0, 1))
            row(kind, str(K), basis, *rates, rate([any(word) for word in words]))


def tails(K: int, images: float, n: int = 400_000) -> None:
    """For a mean over K seeds with a variance of 1 by seeds and `images` by images."""
    from scipy.special import stdtr

    rng = np.random.default_rng(K)
    d, v = rng.normal(0, sqrt(1 + images), n), rng.chisquare(K - 1, n) / (K - 1)
    both = 2 * stdtr((v + images) ** 2 / (v**2 / (K - 1)), -np.abs(d) / np.sqrt(v + images))
    plain = 2 * stdtr(K - 1, -np.abs(d) / np.sqrt(v))
    found = (both, plain, np.maximum(both, plain))
    row(f"images {images:g}", str(K), *(" ".join(share(p)) for p in found))


def share(p: np.ndarray) -> list[str]:
    """Percent of p below 0.05, 0.01 and 0.001."""
    return [f"{100 * fmean(p < level):.2f}" for level in (0.05, 0.01, 0.001)]


def rate(found: list[bool]) -> str:
    """`1.2 % (0.2)`: percent and its standard error."""
    p = fmean(found)
    return f"{100 * p:.2f} % ({100 * sqrt(p * (1 - p) / len(found)):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=2000, help="a line [2000]")
    options = parser.parse_args()
    head(__doc__, options.studies)
    row("what scatters", "seeds", "judged over", "supported", "contradicted", "either")
    for kind in KINDS:
        for K in (3, 5):
            counts(options.studies, K, kind)
    row("variance, seeds 1", "seeds", "seeds and images", "paired t", "larger p")
    for images in (0.0, 0.25, 1.0, 4.0, 25.0):
        for K in (3, 5):
            tails(K, images)


if __name__ == "__main__":
    main()
