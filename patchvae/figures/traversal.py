"""What one part's appearance means: each of its dimensions varied, all else as the image has it."""

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from patchvae.figures.canvas import as_picture, axes_grid, new_figure, subject_of
from patchvae.figures.catalogue import Target
from patchvae.figures.networks import held_out, load_parts
from patchvae.models.sampling import visibility_mean
from patchvae.runtime.machine import Options
from patchvae.training.network import BATCH

VALUES = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
DIMENSIONS = 8  # at most


@dataclass(frozen=True)
class Traversal:
    """`pictures` (dimensions, values, H, W, 3); `change` (dimensions, H, W) from first to last."""

    subject: str
    part: int
    image: np.ndarray
    visibility: np.ndarray
    pictures: np.ndarray

    @property
    def change(self) -> np.ndarray:
        change: np.ndarray = np.abs(self.pictures[:, -1] - self.pictures[:, 0]).mean(-1)
        return change


def most_informed_part(mean: Tensor, log_var: Tensor) -> int:
    """The part whose appearance says most: highest KL, mean over images; both (B, N, D)."""
    kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(2)
    return int(kl.mean(0).argmax())


@torch.no_grad()
def compute(target: Target, options: Options) -> Traversal:
    """The most informed part, on the test image where it is most surely visible."""
    (run,) = target.runs()
    trained, model = load_parts(run, options)
    limit = trained.config.data.test or trained.data.count("test")
    x = held_out(trained, min(BATCH, limit))
    logits, mean, log_var = model.posterior(x)
    part = most_informed_part(mean, log_var)
    image = int(logits[:, part].flatten(1).max(1).values.argmax())
    z_vis = visibility_mean(logits[image : image + 1], model.hard)
    shown = min(model.D, DIMENSIONS)
    z_app = mean[image].repeat(shown, len(VALUES), 1, 1)  # (d, V, N, D)
    for d in range(shown):
        z_app[d, :, part, d] = torch.tensor(VALUES, device=x.device)
    flat = z_app.flatten(0, 1)
    x_hat = trained.pixels(model.decode(z_vis.expand(len(flat), -1, -1, -1), flat))
    pictures = x_hat.reshape(shown, len(VALUES), *x_hat.shape[1:])
    visibility = torch.sigmoid(logits[image, part]).cpu().numpy()
    return Traversal(
        subject_of(run), part, trained.pixels(x[image : image + 1])[0], visibility, pictures
    )


def draw(data: Traversal) -> Figure:
    """A line a dimension; left the image and the part's visibility, right what changed."""
    rows, columns = data.pictures.shape[:2]
    figure = new_figure(0.56 * rows + 0.5)
    axes = axes_grid(figure, rows, columns + 2)
    reach = float(data.change.max())
    for d, line in enumerate(axes):
        as_picture(line[0])
        for axis, picture in zip(line[1:-1], data.pictures[d], strict=True):
            axis.imshow(picture)
            as_picture(axis)
        line[1].set_ylabel(f"dim. {d + 1}", fontsize=6)
        line[-1].imshow(data.change[d], vmin=0, vmax=reach)
        as_picture(line[-1])
    axes[0, 0].imshow(data.image)
    axes[0, 0].set_title("image", fontsize=6, pad=2)
    if rows > 1:
        axes[1, 0].imshow(data.visibility, vmin=0, vmax=1)
        axes[1, 0].set_title("visibility", fontsize=6, pad=2)
    for axis, value in zip(axes[0, 1:-1], VALUES, strict=True):
        axis.set_title(f"{value:+g}" if value else "0", fontsize=6, pad=2)
    axes[0, -1].set_title(f"change\n≤ {reach:.1g}", fontsize=6, pad=2)
    figure.suptitle(f"Appearance of part {data.part + 1}, one dimension a line")
    return figure
