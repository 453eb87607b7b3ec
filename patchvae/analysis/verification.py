"""A published cell beside the same cell computed again: identical, as expected, or different.

Both have the same configuration and the same test images. Of the K published seeds L were trained
again. On a machine that rounds in the same way they come out the same, image by image. On another
one a training drifts away from itself and its accuracy is that of one more seed, so the mean of L
runs is expected within

    sqrt((t(0.975, K-1) s sqrt(1/L + 1/K))^2 + (1.96 SE_2)^2)

of the published mean: a prediction interval by seeds, and the scatter SE_2 of a difference of two
runs over test images (`stats.difference_noise`), which keeps three seeds that agree by chance from
making the interval too narrow. With one seed there is only the second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot
from statistics import fmean

import numpy as np

from patchvae.analysis.paired import Sample
from patchvae.analysis.stats import DIFFERS, consistent_within, difference_noise

IDENTICAL, EXPECTED = "identical", "as expected"


@dataclass(frozen=True)
class Verification:
    """What became of a cell; `within` and the means in points and percent.

    `images` is how many test images are right in one and wrong in the other, summed over the seeds
    trained again; None without published predictions.
    """

    word: str
    published: Sample
    again: Sample
    within: float
    images: int | None

    @property
    def means(self) -> tuple[float, float]:
        """Of all published seeds, and of those trained again."""
        return fmean(self.published.values.values()), fmean(self.again.values.values())


def verify(published: Sample, again: Sample, n_test: int) -> Verification:
    """Judge a cell computed again.

    As expected takes both: the new mean is what the published seeds predict, and the published
    mean of the same seeds is what the other published ones and the new ones predict. The second
    finds one false seed, whose own part in the scatter hides it from the first.
    """
    old, new = published.values, again.values
    within = expected_within(list(old.values()), len(new), n_test)
    twins = [old[seed] for seed in new]
    others = [value for seed, value in old.items() if seed not in new] + list(new.values())
    images = _other_images(published, again)
    same = all(old[seed] == value for seed, value in new.items()) and not images
    expected = abs(fmean(new.values()) - fmean(old.values())) <= within and abs(
        fmean(twins) - fmean(others)
    ) <= expected_within(others, len(twins), n_test)
    word = IDENTICAL if same else EXPECTED if expected else DIFFERS
    return Verification(word, published, again, within, images)


def expected_within(values: Sequence[float], runs: int, n_test: int) -> float:
    """How far from the mean of these accuracies that of `runs` more is expected, in points."""
    m = fmean(values)
    images = difference_noise(m, m, n_test)
    if len(values) == 1:
        return images
    return hypot(consistent_within(values, n_test, m, runs), images)


def _other_images(published: Sample, again: Sample) -> int | None:
    if not published.correct:
        return None
    pairs = ((published.correct[seed], right) for seed, right in again.correct.items())
    return sum(int(np.count_nonzero(a != b)) for a, b in pairs)
