"""Figure 1: the two architectures, shapes and parameters read off the instantiated modules."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import Tensor, nn

from patchvae.figures.canvas import WIDTH, new_figure, title_of
from patchvae.figures.catalogue import Target
from patchvae.figures.inputs import default_run, figure_dataset
from patchvae.models import build
from patchvae.models.beta_vae import BetaVAE
from patchvae.models.decoder import Pyramid
from patchvae.models.patchvae import PatchVAE
from patchvae.models.trunk import Trunk
from patchvae.runtime.machine import Options
from patchvae.study.config import load_study
from patchvae.study.registry import DATASETS
from patchvae.study.runs import Run, resolve_run
from patchvae.study.variants import variant_of

KINDS = {"trunk": "C0", "posterior": "C1", "latent": "C4", "decoder": "C2", "image": "C7"}


@dataclass(frozen=True)
class Node:
    """A tensor: what makes it, its shape without the batch, its part of the network."""

    label: str
    shape: tuple[int, ...]
    kind: str


@dataclass(frozen=True)
class Diagram:
    """Columns of nodes from the image to its reconstruction; each joins the next one's.

    The first node of the column `weighting` also joins the last of the next one.
    """

    title: str
    columns: list[list[Node]]
    parameters: dict[str, int]
    weighting: int | None = None


@dataclass(frozen=True)
class Architectures:
    """beta-VAE and PatchVAE at one image size."""

    subject: str
    diagrams: list[Diagram]


def _node(label: str, x: Tensor, kind: str) -> Node:
    return Node(label, tuple(x.shape[1:]), kind)


def count(*modules: nn.Module) -> int:
    """Parameters of modules."""
    return sum(p.numel() for module in modules for p in module.parameters())


def _trunk(trunk: Trunk, x: Tensor) -> tuple[Tensor, list[list[Node]]]:
    columns = [[_node("$x$", x, "image")]]
    for stage in trunk.stages:
        x = trunk.through(x, (stage,))
        columns.append([_node(stage, x, "trunk")])
    return x, columns


def _kernel(module: nn.Module) -> str:
    side = module.kernel_size[0]  # type: ignore[index]
    return rf"${side}\times{side}$"


def _pyramid(decoder: Pyramid, code: Tensor) -> list[list[Node]]:
    columns: list[list[Node]] = []
    for module in decoder:
        code = module(code)
        if isinstance(module, nn.ConvTranspose2d):
            columns.append([_node(_kernel(module), code, "decoder")])
    columns[-1] = [_node(r"$\hat x$", code, "image")]
    return columns


def beta_vae_diagram(model: BetaVAE, size: int) -> Diagram:
    """Trunk, fixed bottleneck, one Gaussian latent, decoder."""
    phi, columns = _trunk(model.trunk, torch.zeros(1, 3, size, size))
    reduced = model.bottleneck.reduce(phi)
    mean, log_var = model.bottleneck(phi)
    columns.append([_node(r"$1\times1$", reduced, "posterior")])
    columns.append([_node(r"$\mu$", mean, "posterior"), _node(r"$\sigma^2$", log_var, "posterior")])
    columns.append([_node("$z$", mean, "latent")])
    expanded = model.decoder.expand(mean[:, :, None, None])
    columns.append([_node(_kernel(model.decoder.expand[0]), expanded, "decoder")])
    columns += _pyramid(model.decoder.pyramid, expanded)
    parameters = {"encoder": count(model.trunk, model.bottleneck), "decoder": count(model.decoder)}
    return Diagram(title_of("beta-vae"), columns, parameters)


def patchvae_diagram(model: PatchVAE, size: int) -> Diagram:
    """Trunk, visibility and appearance of N parts, their product at every cell, decoder."""
    x = torch.zeros(1, 3, size, size)
    phi, columns = _trunk(model.trunk, x)
    logits, mean, _ = model.posterior(x)
    columns.append(
        [_node("$Q^V$", logits, "posterior"), _node("$Q^A$", model.appearance(phi), "posterior")]
    )
    visibility = _node(r"$z_{\mathrm{vis}}$", logits, "latent")
    columns.append([visibility, _node(r"$z_{\mathrm{app}}$", mean, "latent")])
    code = (torch.sigmoid(logits)[:, :, None] * mean[..., None, None]).flatten(1, 2)
    columns.append([_node(r"$z_{\mathrm{vis}} z_{\mathrm{app}}$", code, "latent")])
    columns += _pyramid(model.decoder, code)
    encoder = count(model.trunk, model.visibility, model.appearance)
    title = f"PatchVAE, $N={model.N}$, $d_p={model.D}$"
    parameters = {"encoder": encoder, "decoder": count(model.decoder)}
    return Diagram(title, columns, parameters, weighting=len(model.trunk.stages) + 1)


def compute(target: Target, options: Options) -> Architectures:
    """Both models of the study at the size of its figures' dataset; nothing is trained."""
    study, dataset = load_study(target.study), figure_dataset(target.study)
    variant = variant_of(study, dataset, "beta-vae", {})
    runs = (Run(study.name, dataset, "beta-vae", variant, study.seeds[0]), default_run(study.name))
    with torch.no_grad():
        beta_vae, patchvae = (build(resolve_run(run)).eval() for run in runs)
        assert isinstance(beta_vae, BetaVAE)
        assert isinstance(patchvae, PatchVAE)
        size = DATASETS[dataset].size
        diagrams = [beta_vae_diagram(beta_vae, size), patchvae_diagram(patchvae, size)]
    return Architectures(
        f"Shapes for {DATASETS[dataset].title}, channels x height x width", diagrams
    )


def height_of(node: Node) -> float:
    """Inches: grows with the logarithm of the tensor's side; vectors are flat."""
    side = node.shape[-1] if len(node.shape) == 3 else 1
    return 0.33 + 0.1 * (side - 1).bit_length()


def draw(data: Architectures) -> Figure:
    """One line of boxes an architecture, from left to right."""
    height = 1.6
    figure = new_figure(height * len(data.diagrams) + 0.3)
    axes = figure.subplots(len(data.diagrams), 1)
    for letter, axis, diagram in zip("ab", axes, data.diagrams, strict=True):
        axis.set(xlim=(0, WIDTH), ylim=(-height / 2, height / 2), aspect="equal")
        axis.set_axis_off()
        counts = ", ".join(f"{name} {n:,}" for name, n in diagram.parameters.items())
        axis.set_title(f"({letter}) {diagram.title}: parameters of {counts}", loc="left", pad=2)
        _draw_diagram(axis, diagram)
    return figure


def _draw_diagram(axis: Axes, diagram: Diagram) -> None:
    step = WIDTH / len(diagram.columns)
    centres: list[list[tuple[float, float]]] = []
    for index, column in enumerate(diagram.columns):
        spread = [0.0] if len(column) == 1 else [0.42, -0.42]
        centres.append([((index + 0.5) * step, y) for y in spread])
        for node, (x, y) in zip(column, centres[-1], strict=True):
            _box(axis, node, x, y, 0.8 * step)
    for left, right in pairwise(centres):
        pairs = zip(left, right, strict=True) if len(left) == len(right) else None
        for start, end in pairs or [(a, b) for a in left for b in right]:
            _arrow(axis, start, end, 0.4 * step, "-")
    if diagram.weighting is not None:
        start, end = centres[diagram.weighting][0], centres[diagram.weighting + 1][1]
        _arrow(axis, start, end, 0.4 * step, ":")


def _box(axis: Axes, node: Node, x: float, y: float, width: float) -> None:
    height = height_of(node)
    corner = (x - width / 2, y - height / 2)
    shape = "round,pad=0,rounding_size=0.04"
    colour = KINDS[node.kind]
    axis.add_patch(
        FancyBboxPatch(corner, width, height, boxstyle=shape, fc=(colour, 0.18), ec=colour, lw=0.8)
    )
    axis.text(x, y + 0.02, node.label, ha="center", va="bottom", fontsize=6.5)
    grid = len(node.shape) == 3
    lines = (node.shape[:1], node.shape[1:]) if grid else (node.shape,)
    words = "\n".join("×".join(str(n) for n in line) for line in lines)
    axis.text(x, y - 0.02, words, ha="center", va="top", fontsize=5.5, linespacing=1)


def _arrow(
    axis: Axes, start: tuple[float, float], end: tuple[float, float], half: float, line: str
) -> None:
    a, b = (start[0] + half, start[1]), (end[0] - half, end[1])
    axis.add_patch(
        FancyArrowPatch(
            a,
            b,
            arrowstyle="-|>",
            mutation_scale=5,
            lw=0.6,
            ls=line,
            color="0.3",
            shrinkA=0,
            shrinkB=0,
        )
    )
