"""What a classifier makes of a split's images, and the accuracies that follow."""

import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from patchvae.models.classifier import Classifier
from patchvae.numerics import parallel
from patchvae.runtime.results import write_bytes
from patchvae.study import paths
from patchvae.study.runs import ProbeConfig
from patchvae.training.features import Split, eval_batch
from patchvae.training.job import Job, Made
from patchvae.training.loop import Row

PREDICTED = ("predicted", "correct1", "correct5")  # of every test image


@torch.no_grad()
def evaluate(classifier: Classifier, split: Split) -> dict[str, Any]:
    """What is `scored` of a classifier on a split."""
    classifier.eval()
    labels, k = split.labels, min(5, classifier.classes)
    at_once = eval_batch(classifier, labels.device)
    top = torch.zeros(len(labels), k, dtype=torch.int64, device=labels.device)
    for start in parallel.mine(range(0, len(labels), at_once)):
        stop = min(start + at_once, len(labels))
        index = torch.arange(start, stop, device=split.features.index_device)
        top[start:stop] = classifier(split.features.batch(index)).topk(k, dim=1).indices
    return scored(parallel.total(top), labels)


def scored(top: Tensor, labels: Tensor) -> dict[str, Any]:
    """The predicted classes, both kinds of correctness, and the accuracies in percent.

    `top` int64 (n, at most 5), the likeliest class first; `labels` int64 (n,).
    """
    hits = top == labels[:, None]
    return accuracies(
        predicted=top[:, 0].cpu().numpy().astype(np.int16),
        correct1=hits[:, 0].cpu().numpy(),
        correct5=hits.any(1).cpu().numpy(),
    )


def accuracies(**predictions: np.ndarray) -> dict[str, Any]:
    """Predictions with the accuracies that follow from them."""
    scores = {f"top{k}": round(100 * float(predictions[f"correct{k}"].mean()), 6) for k in (1, 5)}
    return predictions | scores


def probed(
    config: ProbeConfig, job: Job, result: dict[str, Any], history: list[Row], **facts: Any
) -> Made:
    """What a probe makes of what is `scored`."""
    mine = {
        "probe": config.name,
        "encoder": job.encoder["files"][paths.ENCODER],
        "n_test": len(result["correct1"]),
        "top1": result["top1"],
        "top5": result["top5"],
    }
    return Made(mine | facts, history, partial(_save, result))


def _save(result: dict[str, Any], folder: Path) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: result[name] for name in PREDICTED})
    write_bytes(folder / paths.PREDICTIONS, buffer.getvalue())
