"""Claim: probes train 13.6 (conv5), 2.7 (conv3) and 2.0 (conv1) times as fast as uncached ones.

    python benchmarks/probing.py [PROBE ...]

Total images a second on two cores, ResNet9, 50,000 images of CIFAR100's shape, batches of 128. A:
two processes of one thread side by side, which train on cached features. B: benchmarks/baseline.py
in one process of two threads, which runs the whole network at every step. A and B take turns.
Beside it `evaluate`, the rate at which test images are classified after each epoch, and `fill`, at
which A computes and stores features, images and mirror images counted each. The cache is full size
and lies where the suite puts one (conv5 in memory, conv3 and conv1 on disk), but it repeats the
features of few images, and `fill` and `evaluate` are measured on few as well: 90 epochs are
computed from these rates, not run. The aims were 18, 2.5 and 1.8. All figures, hardware and n:
docs/cost.md.
"""

import time
from dataclasses import dataclass
from statistics import median

import torch
import torch.nn.functional as F
from baseline import Pictures, Probing, batches, repeated
from common import (
    Rates,
    Steps,
    Timing,
    arguments,
    head,
    random_pixels,
    ratios,
    row,
    spread,
)
from torch import Tensor

from patchvae.data.tensors import Images
from patchvae.models.classifier import Classifier
from patchvae.models.head import Head
from patchvae.models.trunk import Trunk
from patchvae.numerics.memory import keep_freed_memory
from patchvae.numerics.optim import SGD
from patchvae.study.registry import DATASETS, PROBES
from patchvae.training.features import EVAL_BATCH, Cached, Live, Split, cache
from patchvae.training.scores import evaluate

B, LR, HIDDEN, WORKERS = 128, 1e-2, 512, 2
ORDER = ("conv5", "conv3", "conv1")
FEW = 1_024  # images whose features are computed
FACTS = DATASETS["cifar100"]


@dataclass(frozen=True)
class Again(Live):
    """The features of a few images in place of those of many."""

    features: Tensor

    def batch(self, index: Tensor, flip: Tensor | None = None) -> Tensor:
        return self.features[index % len(self.features)]


def full_cache(classifier: Classifier, few: Images, n: int) -> Cached:
    """What `cache` makes of n images and their mirror images, without computing them all."""
    features = Live(few, classifier).batch(torch.arange(len(few)))
    return cache(Again(Images(torch.empty(n, 0)), classifier, features), flip=True)


def ours(probe: str, n: int) -> Steps:
    """The suite's own steps: training on a cache, evaluating, and filling a cache."""
    keep_freed_memory()
    torch.manual_seed(0)
    frozen = PROBES[probe].frozen
    classifier = Classifier(Trunk(), frozen, FACTS.size, FACTS.classes, hidden=HIDDEN)
    classifier = classifier.to(memory_format=torch.channels_last).eval()
    few, labels = Images(random_pixels(FEW)), torch.arange(n) % FACTS.classes
    cached = full_cache(classifier, few, n)
    test = Split(cache(Live(few, classifier), flip=False), labels[:FEW])
    in_memory = None if isinstance(cached.features, Tensor) else 0
    optimizer = SGD([p for p in classifier.parameters() if p.requires_grad], LR, 0.9)

    def train() -> int:
        classifier.train()
        index = torch.randint(n, (B,))
        loss = F.cross_entropy(classifier(cached.batch(index, index % 2 == 0)), labels[index])
        optimizer.step(torch.autograd.grad(loss, optimizer.parameters))
        loss.item()
        return B

    def fill() -> int:
        classifier.eval()
        return len(cache(Live(few, classifier), flip=True, memory=in_memory).features)

    return {
        "train": train,
        "evaluate": lambda: len(evaluate(classifier, test)["predicted"]),
        "fill": fill,
    }


def plain(probe: str, n: int, workers: int) -> Steps:
    """The baseline's: training and evaluating."""
    torch.manual_seed(0)
    trunk = Trunk()
    features = trunk.channels * (FACTS.size // trunk.stride) ** 2
    probing = Probing(trunk, str(PROBES[probe].frozen), Head(features, FACTS.classes, HIDDEN), LR)
    pixels, labels = random_pixels(n).numpy(), (torch.arange(n) % FACTS.classes).numpy()
    probing.begin_epoch()
    training = repeated(batches(Pictures(pixels, labels, flip=True), B, workers), probing.step)
    tests = Pictures(pixels[: FEW * 8], labels, flip=False)
    evaluating = repeated(batches(tests, EVAL_BATCH, workers), probing.right)
    return {"train": training, "evaluate": evaluating}


@dataclass(frozen=True)
class Measured:
    """Rates of both sides, round by round."""

    train: dict[str, Rates]
    evaluate: dict[str, Rates]
    fill: Rates


def measure(probe: str, n: int, timing: Timing) -> Measured:
    """All rates of one probe; evaluating and filling get a third of the time."""
    with timing.ours(ours, probe, n) as a, timing.plain(plain, probe, n, workers=WORKERS) as b:
        both = {"ours": a, "plain": b}
        return Measured(
            timing.interleave(both, "train"),
            timing.a_third().interleave(both, "evaluate"),
            timing.a_third().interleave({"ours": a}, "fill")["ours"],
        )


def show(probe: str, found: Measured) -> None:
    """Three lines, and how long a cache of 50,000 images takes to fill."""
    for what, rates in (("train", found.train), ("evaluate", found.evaluate)):
        ratio = spread(ratios(**rates), ".2f")
        row(f"{probe} {what}", spread(rates["ours"]), spread(rates["plain"]), ratio)
    seconds = 2 * FACTS.train / median(found.fill)
    row(f"{probe} fill", spread(found.fill), "-", f"{seconds:.0f} s for {FACTS.train:,}")


def main() -> None:
    parser = arguments(seconds=3.0)
    parser.add_argument("probes", nargs="*", default=ORDER, metavar="PROBE")
    parser.add_argument("--images", type=int, default=FACTS.train, help="in the cache")
    chosen = parser.parse_args()
    head(__doc__, chosen.rounds)
    begun = time.monotonic()
    row("images/s", "ours", "plain", "ratio")
    for probe in chosen.probes:
        show(probe, measure(probe, chosen.images, Timing.chosen(chosen)))
    print(f"{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
