"""How well maps find true parts: average precision (AP), matched one to one, against chance.

A cell is positive for a kind of true part that covers it. Chance is what the same maps reach with
the places of other images.
"""

from dataclasses import dataclass

import numpy as np

from patchvae.data.parts import VOCABULARY
from patchvae.numerics.seeds import derive_seed

SHUFFLES = 5  # pairings of maps with other images' places, averaged for the chance level


@dataclass(frozen=True)
class Score:
    """One method on one dataset after `epoch` epochs.

    The part and AP matched to each kind, and chance.

    `epoch` is None for a method that has none.
    """

    dataset: str
    method: str
    epoch: float | None
    seed: int
    part: list[int]
    ap: list[float]
    chance: float

    @property
    def mean(self) -> float:
        return float(np.mean(self.ap))


@dataclass(frozen=True)
class Discovery:
    """The scores of every method, dataset, epoch and seed."""

    subject: str
    scores: list[Score]

    def of(self, dataset: str) -> dict[str, dict[float | None, list[Score]]]:
        """By method, by epoch, its seeds."""
        found: dict[str, dict[float | None, list[Score]]] = {}
        for score in self.scores:
            if score.dataset == dataset:
                found.setdefault(score.method, {}).setdefault(score.epoch, []).append(score)
        return found

    @property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(score.dataset for score in self.scores))


def true_cells(places: np.ndarray, size: int, stride: int) -> np.ndarray:
    """Which kinds cover which cells: places (n, slots, 5) -> bool (n, kinds, L).

    A part covers the cells whose centre is within its radius and the cell of its own centre.
    """
    kind, y, x, radius = (places[..., i, None] for i in range(4))  # (n, slots, 1)
    side = size // stride
    row, column = np.divmod(np.arange(side * side), side)
    centre = [(index + 0.5) * stride - 0.5 for index in (row, column)]
    inside = np.hypot(centre[0] - y, centre[1] - x) <= radius
    own = np.maximum(abs(centre[0] - y), abs(centre[1] - x)) <= stride / 2
    covered = inside | own  # (n, slots, L)
    return np.stack([(covered & (kind == k)).any(1) for k in range(len(VOCABULARY))], axis=1)


def average_precision(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """AP of each score for each truth.

    (N, S) and bool (K, S) -> (N, K), the area under precision and recall.

    The mean, over positives, of the precision among all scores at least as early in descending
    order.
    """
    found = []
    for score in scores:
        hits = truth[:, np.argsort(-score, kind="stable")]
        precision = hits.cumsum(1) / np.arange(1, hits.shape[1] + 1)
        found.append((precision * hits).sum(1) / hits.sum(1))
    return np.stack(found)


def match(ap: np.ndarray) -> tuple[list[int], list[float]]:
    """For each kind the latent part and its AP, one to one with the highest sum: (N, K).

    With fewer parts than kinds, a kind that is left over gets part -1 and AP 0.
    """
    from scipy.optimize import linear_sum_assignment

    parts, found = [-1] * ap.shape[1], [0.0] * ap.shape[1]
    for part, kind in zip(*linear_sum_assignment(ap, maximize=True), strict=True):
        parts[kind], found[kind] = int(part), float(ap[part, kind])
    return parts, found


def evaluate(maps: np.ndarray, truth: np.ndarray) -> tuple[list[int], list[float], float]:
    """The part and AP matched to each kind, and the chance level.

    Maps (n, N, L), truth (n, K, L).
    """
    rng = np.random.default_rng(derive_seed("figures", "chance"))
    truths = [truth, *(truth[rng.permutation(len(truth))] for _ in range(SHUFFLES))]
    ap = average_precision(flatten(maps), np.concatenate([flatten(true) for true in truths]))
    (part, found), *others = (match(each) for each in np.split(ap, len(truths), axis=1))
    return part, found, float(np.mean([other for _, other in others]))


def flatten(maps: np.ndarray) -> np.ndarray:
    """(n, N, L) -> (N, n * L)."""
    return maps.transpose(1, 0, 2).reshape(maps.shape[1], -1)
