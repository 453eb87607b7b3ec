"""Tables 6-10: the architectures, read off the instantiated modules, and their parameter counts."""

from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from patchvae.models import build
from patchvae.models.base import Unsupervised
from patchvae.models.beta_vae import BetaVAE
from patchvae.models.bigan import BiGAN
from patchvae.models.classifier import Classifier
from patchvae.models.patchvae import PatchVAE
from patchvae.models.trunk import Trunk
from patchvae.paper.published import parameters
from patchvae.study import paths
from patchvae.study.address import CellKey
from patchvae.study.config import load_study
from patchvae.study.registry import DATASETS
from patchvae.study.runs import Run, resolve_probe, resolve_run
from patchvae.study.variants import variant_of

MODELS = ("beta-vae", "bigan", "patchvae")
CLASSIFIERS = ("cifar100", "indoor67", "places205")
# the dataset that stands for each published pair of tables: encoder, decoder
SIZES = {"cifar100": ("table6", "table8"), "indoor67+places205": ("table7", "table9")}


Described = tuple[dict[str, list[str]], list[tuple[str, int]]]


@dataclass(frozen=True)
class Network:
    """One published column: named parts, each a list of printed layers, and (layer, parameters)."""

    key: CellKey
    parts: dict[str, list[str]]
    layers: list[tuple[str, int]]

    @property
    def parameters(self) -> int:
        return sum(count for _, count in self.layers)


def _run(dataset: str, model: str) -> Run:
    study = load_study(paths.MAIN_STUDY)
    return Run(paths.MAIN_STUDY, dataset, model, variant_of(study, dataset, model, {}), 0)


@cache
def _model(dataset: str, model: str) -> Unsupervised:
    with torch.device("meta"):
        return build(resolve_run(_run(dataset, model)))


def leaves(*modules: nn.Module) -> list[tuple[str, int]]:
    """(name, parameters) of every layer that has parameters, in order."""
    found = []
    for module in modules:
        for name, leaf in module.named_modules():
            count = sum(p.numel() for p in leaf.parameters(recurse=False))
            if count:
                found.append((name or type(leaf).__name__, count))
    return found


def layer(module: nn.Module, share: int = 1) -> str:
    """A layer as the paper prints it, (k x k, channels, stride, pad).

    `share` splits stacked heads.
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        k, s, p = module.kernel_size[0], module.stride[0], module.padding[0]
        return rf"(${k} \times {k}$, {module.out_channels // share}, {s}, {p})"
    if isinstance(module, nn.Linear):
        return rf"${module.in_features} \times {module.out_features}$"
    if isinstance(module, nn.LeakyReLU):
        return f"LeakyReLU({module.negative_slope})"
    if isinstance(module, nn.MaxPool2d):
        size = module.kernel_size
        return rf"Pool(${size} \times {size}$, {module.stride}, {module.padding})"
    return {"BatchNorm2d": "BN", "Tanh": "tanh"}.get(type(module).__name__, type(module).__name__)


def _encoder(model: Unsupervised) -> Described:
    parts = {r"Features $\phi$": ["ResNet-9"], "$Q^V$": ["-"]}
    if isinstance(model, PatchVAE):
        parts["$Q^V$"] = [layer(model.visibility)]
        half = layer(model.appearance, share=2)
        parts["$Q^A$"] = [rf"$\mu$: {half}", rf"$\sigma^2$: {half}"]
        mean_and_variance = leaves(model.appearance)[0][1] // 2
        halves = [("mean", mean_and_variance), ("variance", mean_and_variance)]
        return parts, [*leaves(model.trunk, model.visibility), *halves]
    assert isinstance(model, BetaVAE | BiGAN)
    heads = [layer(head) for head in model.bottleneck.heads]
    if isinstance(model, BetaVAE):
        heads = [rf"$\mu$: {heads[0]}", rf"$\sigma^2$: {heads[1]}"]
    parts["$Q^A$"] = [*(layer(m) for m in model.bottleneck.reduce), *heads]
    return parts, leaves(model.trunk, model.bottleneck)


def _decoder(model: Unsupervised) -> Described:
    assert isinstance(model, PatchVAE | BetaVAE | BiGAN)
    printed = [layer(m) for m in model.decoder.modules() if not list(m.children())]
    return {"Model": printed}, leaves(model.decoder)


def _stage(trunk: Trunk, name: str) -> list[str]:
    """A residual stage as Table 10 prints it: one block, taken twice."""
    block = getattr(trunk, name)[1]
    return [
        r"$2\,\times$", layer(block.conv1), layer(block.bn1), layer(block.relu), layer(block.conv2),
        layer(block.bn2),
    ]  # fmt: skip


def _classifier(dataset: str) -> Described:
    config = resolve_probe(_run(dataset, "random"), "scratch")
    facts = config.encoder.data
    with torch.device("meta"):
        trunk = Trunk(str(config.encoder.model["trunk"]))
        hidden = config.training.hidden
        classifier = Classifier(trunk, None, facts.size, facts.classes, hidden=hidden)
    parts = {
        "Conv1": [layer(m) for m in trunk.stage("conv1")],
        "Conv2-3": _stage(trunk, "layer1"),
        "Conv4-5": _stage(trunk, "layer2"),
        "FC": [layer(m) for m in classifier.head if isinstance(m, nn.Linear)],
    }
    return parts, leaves(classifier)


HALVES = {"encoder": _encoder, "decoder": _decoder}


def networks() -> list[Network]:
    """The 15 networks of Tables 6-10, in the paper's order."""
    found = []
    for position, (name, describe) in enumerate(HALVES.items()):
        for datasets, tables in SIZES.items():
            for model in MODELS:
                key = CellKey(tables[position], f"{name}-{model}", datasets)
                found.append(Network(key, *describe(_model(datasets.split("+")[0], model))))
    for dataset in CLASSIFIERS:
        found.append(Network(CellKey("table10", "classifier", dataset), *_classifier(dataset)))
    return found


def counts() -> dict[CellKey, int]:
    """Our 15 parameter counts, keyed like the published ones."""
    return {network.key: network.parameters for network in networks()}


def layers(key: CellKey) -> list[tuple[str, int]]:
    """The layers behind one of our counts, in order: (name, parameters)."""
    return next(network.layers for network in networks() if network.key == key)


def compare_counts() -> list[tuple[CellKey, int, int]]:
    """(key, published, ours) for the 15 counts."""
    ours = counts()
    return [(key, published, ours[key]) for key, published in parameters().items()]


def heading(network: Network) -> str:
    """What stands above a network's column: its model, or its dataset in Table 10."""
    if network.key.row == "classifier":
        facts = DATASETS[network.key.column]
        return rf"{facts.title} (${facts.size} \times {facts.size} \times 3$)"
    titles = {"beta-vae": r"$\beta$-VAE", "bigan": "BiGAN", "patchvae": "PatchVAE"}
    return titles[network.key.row.split("-", 1)[1]]
