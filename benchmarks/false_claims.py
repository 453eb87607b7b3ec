"""Claim: where no row differs, less than 5 % of studies have a claim falsely supported, or contradicted.

    python benchmarks/false_claims.py [--studies N] [--kind seeds]

Studies with every cell of the paper's Tables 1-5 and the claims C1-C12, after Holm. An answer is right where
the sum of an image's difficulty, the row's own view of the image, the luck of its seed and that of the single
answer is positive; all rows have the same expectation. Counted are the parts that say 'above 0'. Where rows
see images alike (`seeds`), also by the paired t over seeds alone, as for cells without predictions.
"""

import argparse
from math import sqrt

import numpy as np

from patchvae.analysis.claims import CONTRADICTED, SO_FAR, SUPPORTED, judge
from patchvae.analysis.paired import Sample
from patchvae.paper.claims import ABOVE, PREDICATES, load_claims
from patchvae.paper.published import CellKey, accuracy

IMAGES = 500
PARTS = load_claims()
# standard deviations on the scale of difficulty: of row and image, of row and seed, of single answers
KINDS = {"mixed": (0.5, 0.04, 0.7), "seeds": (0.0, 0.2, 0.3)}


def study(rng: np.random.Generator, K: int, kind: str) -> dict[CellKey, Sample]:
    """Every published cell with K seeds; the cells of a dataset share its images."""
    own, seed, single = KINDS[kind]
    keys = list(accuracy())
    difficulty = {name: rng.normal(0.5, 1, IMAGES) for name in {key.dataset for key in keys}}
    samples = {}
    for key in keys:
        latent = difficulty[key.dataset] + rng.normal(0, own, IMAGES) + rng.normal(0, seed, (K, 1))
        right = latent + rng.normal(0, single, (K, IMAGES)) > 0
        values = dict(enumerate(100 * right.mean(1)))
        samples[key] = Sample(values, dict(enumerate(right)))
    return samples


def false_words(samples: dict[CellKey, Sample]) -> tuple[bool, bool]:
    """Whether a directional part is supported, and whether one is contradicted."""
    n_test = {key.dataset: IMAGES for key in samples}
    words = {
        judged.word
        for judged in judge(PARTS, samples, cells=(), n_test=n_test)
        if PREDICATES[judged.part.predicate].test == ABOVE and judged.part.by == 0
    }
    return bool(words & {SUPPORTED, SO_FAR}), CONTRADICTED in words


def rate(found: list[bool]) -> str:
    """`0.5 % (0.2)`: percent and its standard error."""
    p = np.mean(found)
    return f"{100 * p:5.2f} % (error {100 * sqrt(p * (1 - p) / len(found)):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--kind", choices=KINDS, default="mixed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5])
    options = parser.parse_args()
    for K in options.seeds:
        rng = np.random.default_rng(K)
        found: dict[str, list[tuple[bool, bool]]] = {"seeds and images": [], "seeds": []}
        for _ in range(options.studies):
            samples = study(rng, K, options.kind)
            found["seeds and images"].append(false_words(samples))
            if options.kind == "seeds":
                plain = {key: Sample(sample.values, {}) for key, sample in samples.items()}
                found["seeds"].append(false_words(plain))
        for basis, words in found.items():
            if words:
                supported, contradicted = (list(column) for column in zip(*words, strict=True))
                print(
                    f"{options.kind}, K = {K}, {basis}, {len(words)} studies:"
                    f" supported {rate(supported)}, contradicted {rate(contradicted)},"
                    f" either {rate([any(pair) for pair in words])}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
