"""Trains a classifier on features: SGD on the cross-entropy (paper, section 4)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from patchvae.data.tensors import epoch_order
from patchvae.models.classifier import Classifier
from patchvae.models.schedules import step_lr
from patchvae.numerics import parallel
from patchvae.numerics.batchnorm import synchronise
from patchvae.numerics.optim import SGD
from patchvae.numerics.precision import Step, fastest
from patchvae.runtime.stage import title_of
from patchvae.study.runs import ProbeConfig, ProbeSettings
from patchvae.training.features import Split
from patchvae.training.job import Job
from patchvae.training.loop import Loop
from patchvae.training.scores import PREDICTED, evaluate


def _optimizer(classifier: Classifier, settings: ProbeSettings) -> SGD:
    trained = [p for p in classifier.parameters() if p.requires_grad]
    return SGD(trained, settings.lr, settings.momentum, settings.weight_decay)


def train_classifier(
    config: ProbeConfig, classifier: Classifier, train: Split, test: Split, job: Job
) -> Loop:
    """Train on the features of a split, and judge by another after every epoch.

    With `report: best` the loop keeps the predictions of the best epoch.
    """
    settings, seed = config.training, config.run.seed
    B, n, device = settings.batch_size, len(train.labels), train.labels.device
    synchronise(classifier)
    optimizer = _optimizer(classifier, settings)

    def one(h: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        loss = F.cross_entropy(classifier(h), labels)
        optimizer.step(parallel.mean(torch.autograd.grad(loss, optimizer.parameters)))
        (loss,) = parallel.mean([loss.detach()])
        return loss, {"loss": loss}

    loop = Loop(
        title_of(config),
        classifier,
        [optimizer],
        epochs=settings.epochs,
        steps=n // B,
        saving=job.saving,
    )
    loop.resume()
    take: Step | None = None
    for epoch in loop.epochs():
        lr = step_lr(epoch, settings.lr, settings.lr_step, settings.lr_factor)
        if take is None or lr != optimizer.lr:  # a captured step has its learning rate in it
            optimizer.lr, take = lr, fastest(one, device, job.options)
        order, flip = epoch_order(
            n, settings.flip, train.features.index_device, seed, "probe", config.name, epoch
        )
        classifier.train()
        for step in loop.steps():
            index = parallel.share(order[step * B : (step + 1) * B])
            h = train.features.batch(index, None if flip is None else flip[index])
            loop.record(*take(h, train.labels[index.to(device, non_blocking=True)]))
        scores = evaluate(classifier, test)
        if settings.report == "best" and all(scores["top1"] > row["top1"] for row in loop.history):
            loop.kept = {name: torch.from_numpy(scores[name]) for name in PREDICTED}
        loop.end_epoch({"lr": optimizer.lr, "top1": scores["top1"], "top5": scores["top5"]})
    return loop
