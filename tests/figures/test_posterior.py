"""What the latent codes are said to use is what the networks' posteriors do on the test images."""

import csv
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from small_study import inside
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from patchvae.data.tensors import scale
from patchvae.figures import canvas, posterior
from patchvae.figures.catalogue import FIGURES, Target
from patchvae.figures.inputs import vae_runs
from patchvae.figures.networks import held_out, load_trained
from patchvae.models.base import Terms
from patchvae.models.beta_vae import BetaVAE
from patchvae.models.patchvae import PatchVAE
from patchvae.report.posterior import Posteriors, Usage, Visibility
from patchvae.runtime.machine import Options

TARGET = Target("small", FIGURES["posterior"])


@pytest.fixture(scope="module")
def measured(trained: tuple[Path, Options]) -> Iterator[Posteriors]:
    """What the small study's figure shows, computed once."""
    with inside(trained[0]):
        yield posterior.compute(TARGET, trained[1])


def posteriors(row: str, options: Options) -> tuple[BetaVAE | PatchVAE, list[Tensor]]:
    """A row's network and what its encoder gives for all 40 test images at once."""
    network = load_trained(vae_runs("small", "parts32")[row][0], options)
    assert isinstance(network.model, (BetaVAE, PatchVAE))
    index = network.data.subset_indices("test", 40)
    x = scale(torch.from_numpy(network.data.images("test")[index]))
    with torch.no_grad():
        return network.model, [t.double() for t in network.model.posterior(x)]


def gaussian(mean: Tensor, log_var: Tensor) -> float:
    unit = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    return float(kl_divergence(Normal(mean, (log_var / 2).exp()), unit).sum() / len(mean))


@pytest.mark.usefixtures("studio")
def test_every_vae_of_the_tables_is_measured_once(measured: Posteriors) -> None:
    models = ["$\\beta$-VAE", "PatchVAE", "PatchVAE-GAN + $L_w$"]
    swept = ["$N$ = 8", "$d_p$ = 3"]
    # and at the snapshot that a row of the table `length` judges, after three of six steps
    each = [name for row in (*models, *(f"PatchVAE, {what}" for what in swept))
            for name in (f"{row}, step 3", row)]  # fmt: skip
    names = list(measured.by_name())
    assert names[:10] == each
    # Table 5 without its default row, which is Table 1's
    assert names[11::2] == [f"PatchVAE, $\\beta_{{\\mathrm{{vis}}}}$ = {b}" for b in (0.06, 0.3)]


@pytest.mark.usefixtures("studio")
def test_a_beta_vae_by_torch_distributions(
    measured: Posteriors, trained: tuple[Path, Options]
) -> None:
    _, (mean, log_var) = posteriors("$\\beta$-VAE", trained[1])
    (usage,) = measured.by_name()["$\\beta$-VAE"]
    assert usage.kl == pytest.approx(gaussian(mean, log_var), rel=1e-5)
    assert (usage.active, usage.dimensions) == (int((mean.numpy().var(0) > 0.01).sum()), 8)
    assert usage.visibility is None


@pytest.mark.usefixtures("studio")
def test_explained_variance_by_whole_arrays(
    measured: Posteriors, trained: tuple[Path, Options]
) -> None:
    network = load_trained(vae_runs("small", "parts32")["PatchVAE"][0], trained[1])
    x = held_out(network, 40).numpy()
    with torch.no_grad():
        x_hat = network.model(torch.from_numpy(x))[0].numpy()
    (usage,) = measured.by_name()["PatchVAE"]
    by_hand = 1 - ((x - x_hat) ** 2).sum() / ((x - x.mean(0)) ** 2).sum()
    assert usage.explained == pytest.approx(float(by_hand), abs=1e-5)


@pytest.mark.usefixtures("studio")
def test_a_patchvae_by_torch_distributions_and_by_counting(
    measured: Posteriors, trained: tuple[Path, Options]
) -> None:
    row = "PatchVAE, $N$ = 8"
    model, (logits, mean, log_var) = posteriors(row, trained[1])
    assert isinstance(model, PatchVAE)
    (usage,) = measured.by_name()[row]
    assert usage.kl == pytest.approx(gaussian(mean, log_var), rel=1e-5)
    assert usage.dimensions == 8 * 2
    v = usage.visibility
    assert v is not None
    prior = Bernoulli(torch.full_like(logits, model.prior_vis))
    by_hand = float(kl_divergence(Bernoulli(logits=logits), prior).sum() / 40)
    assert v.kl == pytest.approx(by_hand, rel=1e-5)
    p = logits.sigmoid()
    assert v.mean == pytest.approx(float(p.mean()))
    on = p > 0.5
    assert v.visible_parts == pytest.approx(float(on.sum()) / (40 * 16))
    np.testing.assert_allclose(v.parts, on.double().mean((0, 2, 3)))
    assert v.histogram[0] == pytest.approx(float((p < 0.05).double().mean()))
    assert v.histogram[-1] == pytest.approx(float((p >= 0.95).double().mean()))
    assert v.histogram.sum() == pytest.approx(1)
    assert v.visible.sum() == pytest.approx(1)


def test_collapse_shows() -> None:
    """All parts but one never visible, that one always; nothing moves the means."""

    class Dead(PatchVAE):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)
            self.prior_vis = 0.25

        def posterior(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            logits = torch.full((len(x), 4, 2, 2), -9.0)
            logits[:, 2] = 9.0
            return logits, torch.zeros(len(x), 4, 3), torch.zeros(len(x), 4, 3)

        def forward(self, x: Tensor) -> tuple[Tensor, Terms]:
            return torch.full_like(x, 0.5), {}

    batches = iter([torch.rand(3, 3, 32, 32), torch.rand(2, 3, 32, 32)])
    usage = posterior.measure("dead", 0, Dead(), batches)
    v = usage.visibility
    assert v is not None
    assert (usage.kl, usage.active, usage.dimensions) == (0.0, 0, 12)
    assert (v.switching, v.visible_parts, v.visible.tolist()) == (0, 1.0, [0, 1, 0, 0, 0])
    assert (v.histogram[0], v.histogram[-1]) == (0.75, 0.25)
    assert -0.5 < usage.explained < 0  # one grey for every image, a little off their mean


def test_unequal_batches_count_by_their_images() -> None:
    class Growing(BetaVAE):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)

        def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x.flatten(1), torch.zeros(len(x), 1)

        def forward(self, x: Tensor) -> tuple[Tensor, Terms]:
            return x - 1, {}

    batches = iter([torch.tensor([[2.0], [0.0], [0.0]]), torch.tensor([[4.0]])])
    usage = posterior.measure("growing", 0, Growing(), batches)
    assert usage.kl == pytest.approx((4 + 16) / 2 / 4)  # half the mean square
    assert usage.active == 1
    assert usage.explained == pytest.approx(1 - 4 / (20 - 36 / 4))


def test_the_drawn_lines_are_the_means_over_seeds() -> None:
    def seed(k: int, histogram: float, visible: list[float]) -> Usage:
        bins = np.zeros(20)
        bins[[0, 19]] = histogram, 1 - histogram
        shown = Visibility(1.0, 0.5, bins, np.array(visible), np.array([0.1 * k, 0.5]))
        return Usage("PatchVAE", k, 0.5, 1.0, 2, 4, shown)

    data = Posteriors("", "parts32", [seed(0, 0.2, [1, 0, 0]), seed(1, 0.4, [0, 0.5, 0.5])])
    with canvas.style():
        figure = posterior.draw(data)
    left, middle, right = figure.axes
    assert left.patches[0].get_data().values[[0, 19]] == pytest.approx([0.3, 0.7])
    assert middle.lines[0].get_ydata().tolist() == pytest.approx([0.5, 0.25, 0.25])
    assert right.lines[0].get_ydata().tolist() == pytest.approx([0.5, 0.05])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["PatchVAE"]


def test_the_tables_hold_what_was_measured(measured: Posteriors) -> None:
    texts = {path.suffix: text for path, text in posterior.tabulate(measured, TARGET).items()}
    assert sorted(texts) == [".csv", ".html", ".md", ".tex"]
    rows = list(csv.DictReader(StringIO(texts[".csv"])))
    assert [(row["model"], float(row["kl"])) for row in rows] == [
        (usage.name, round(usage.kl, 6)) for usage in measured.usages
    ]
    (usage,) = measured.by_name()["PatchVAE"]
    v = usage.visibility
    assert v is not None
    numbers = [
        f"{usage.explained:.3f}", f"{usage.kl:.1f}", f"{usage.active}.0", "12", f"{v.kl:.1f}",
        f"{v.mean:.3f}",
        f"{v.visible_parts:.2f}", f"{100 * v.histogram[0]:.1f}", f"{100 * v.histogram[-1]:.1f}",
        f"{v.switching}.0", "6",
    ]  # fmt: skip
    assert f"| PatchVAE | {' | '.join(numbers)} |" in texts[".md"]
    assert f"PatchVAE & {' & '.join(numbers)} \\\\" in texts[".tex"]
