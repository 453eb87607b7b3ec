"""The drawn data of every other figure, the names of figures, and their bytes."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch
from made_results import write_known
from matplotlib import rcParams

from patchvae.analysis.cells import read_cell
from patchvae.errors import CheckpointError, ConfigError
from patchvae.figures import (
    ablations,
    canvas,
    figure1,
    figure3,
    filters,
    heatmap,
    reconstructions,
    samples,
    scatter,
    steps,
    training,
    traversal,
)
from patchvae.figures.catalogue import FIGURES, Target, figure_names
from patchvae.figures.inputs import default_run, paper_cells, swept_cells
from patchvae.figures.networks import held_out, load_trained
from patchvae.figures.write import write_figure
from patchvae.models.losses import patch_weights, weighted_squared_error
from patchvae.paper.published import accuracy, parameters
from patchvae.runtime.machine import Options
from patchvae.study import paths
from patchvae.study.address import CellKey
from patchvae.study.registry import MODELS
from patchvae.study.tables import load_table


def target(name: str, study: str = "small") -> Target:
    return Target(study, FIGURES[name])


@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("figures/small/figure2.pdf", "figures/small/figure2.pdf"),
        ("small/figure2", "figures/small/figure2.pdf"),
        ("figure3.png", "figures/figure3.pdf"),
        ("paper/scatter", "figures/scatter.pdf"),
        (
            "figures/small/runs/parts32/patchvae/N4-d6-prior0.25-bvis0.6-bapp1/seed3/traversal.png",
            "figures/small/runs/parts32/patchvae/N4-d6-prior0.25-bvis0.6-bapp1/seed3/traversal.pdf",
        ),
        ("figures/datasets/cifar100/figure3.pdf", "figures/datasets/cifar100/figure3.pdf"),
    ],
)
def test_a_figure_is_named_by_its_path(text: str, path: str) -> None:
    found = Target.parse(text)
    assert found.path("pdf").as_posix() == path
    assert Target.parse(path) == found


@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize(
    "text",
    [
        "figure9",
        "small/scatter",  # the paper's protocol only
        "nostudy/figure1",
        "small/runs/parts32/patchvae/figure2",
        "small/runs/parts32/patchvae/N4-d6-prior0.25-bvis0.6-bapp1/seed3/heatmap",
        "small/datasets/cifar100/figure3",  # no dataset of the study
    ],
)
def test_a_wrong_name_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigError):
        Target.parse(text)


@pytest.mark.usefixtures("in_repo")
def test_each_study_has_its_figures() -> None:
    assert set(FIGURES) - set(figure_names("paper")) == {"discovery", "sensitivity", "steps"}
    assert set(FIGURES) - set(figure_names("demo")) == {"scatter", "sensitivity", "steps"}
    assert default_run("paper").dataset == "indoor67"
    assert default_run("paper").dataset == "indoor67"
    assert len(target("scatter", "paper").inputs()) == 128


@pytest.mark.usefixtures("in_repo")
def test_architectures_have_the_published_shapes_and_counts() -> None:
    data = figure1.compute(target("figure1", "paper"), Options())
    published = parameters()
    for diagram, model in zip(data.diagrams, ("beta-vae", "patchvae"), strict=True):
        for name, table in (("encoder", "table7"), ("decoder", "table9")):
            key = CellKey(table, f"{name}-{model}", "indoor67+places205")
            assert diagram.parameters[name] == published[key]
    columns = data.diagrams[1].columns
    shapes = [[node.shape for node in column] for column in columns]
    assert shapes == [
        [(3, 64, 64)],
        [(64, 16, 16)],
        [(64, 16, 16)],
        [(128, 8, 8)],
        [(16, 8, 8), (2 * 96, 8, 8)],
        [(16, 8, 8), (16, 6)],
        [(96, 8, 8)],
        [(256, 8, 8)],
        [(128, 16, 16)],
        [(64, 32, 32)],
        [(3, 64, 64)],
    ]


def test_the_mask_is_the_weight_of_the_loss() -> None:
    data = figure3.masks(figure3.photographs(), "")
    x = torch.from_numpy(data.images).permute(0, 3, 1, 2).float() / 127.5 - 1
    x_hat = (x + 0.5).requires_grad_()
    (gradient,) = torch.autograd.grad(
        weighted_squared_error(x_hat, x, patch_weights(x)) * len(x), x_hat
    )
    # d/dx_hat w (x_hat - x)^2 = 2 w (x_hat - x) = w, the same in the three channels
    for channel in range(3):
        np.testing.assert_allclose(gradient[:, channel].numpy(), data.weights, rtol=1e-4)
    np.testing.assert_allclose(data.weights.mean((1, 2)), 1, rtol=1e-5)
    brightest = data.weights.max((1, 2))
    at = data.weights[0] == brightest[0]
    np.testing.assert_allclose(data.product[0][at], data.images[0][at] / 255, rtol=1e-6)


def test_a_datasets_images_on_request(studio: Options) -> None:
    data = figure3.compute(Target.parse("small/datasets/parts32/figure3"), studio)
    assert data.images.shape == (5, 32, 32, 3)
    assert "Parts-32" in data.subject


def test_curves_are_the_cells(studio: Options) -> None:
    data = ablations.compute(target("ablations"), studio)
    assert [curve.parameter for curve in data.ours] == ["num_parts", "part_dim", "beta_vis"]
    cells = {cell.key: cell for cell in swept_cells("small")}
    for curve in data.ours:
        table = "table5" if curve.parameter == "beta_vis" else "table3"
        for i, x in enumerate(curve.x):
            cell = cells[f"{table}/{curve.parameter}={x:g}/parts32-conv5"]
            position = [c for c in cells.values() if c.table.name == table].index(cell)
            assert curve.mean[i] == 20 + position / 2
            assert (curve.low[i], curve.high[i]) == (curve.mean[i] - 1, curve.mean[i] + 2)
    assert not data.comparable
    with canvas.style():
        figure = ablations.draw(data)
    ours = figure.axes[0].lines[0]
    assert ours.get_ydata().tolist() == data.ours[0].mean


def test_accuracies_lie_at_the_steps_of_their_snapshots(studio: Options) -> None:
    data = steps.compute(target("steps"), studio)
    cells = {cell.key: read_cell(cell) for cell in load_table("small", "length").cells()}
    ends = {(m, 3): f"length/{m}-5/parts32-conv5" for m in ("beta-vae", "patchvae")}
    ends |= {(m, 6): f"length/{m}/parts32-conv5" for m in ("beta-vae", "patchvae")}
    drawn = {(r.model, r.step, r.seed): r.accuracy for r in data.accuracies.itertuples()}
    assert drawn == {
        (MODELS[model].title, step, seed): value
        for (model, step), key in ends.items()
        for seed, value in zip(cells[key]["seeds"], cells[key]["values"], strict=True)
    }
    floor = cells["length/random/parts32-conv5"]["mean"]
    assert list(data.references.values()) == [floor]
    # pairs of two trained rows only, in the order of the study
    assert list(data.leads["step"]) == [3, 6]
    for lead in data.leads.itertuples():
        pair = [cells[ends[m, lead.step]]["mean"] for m in ("patchvae", "beta-vae")]
        assert lead.difference == pytest.approx(pair[0] - pair[1])
        assert lead.low <= lead.difference <= lead.high
    with canvas.style():
        above, below = steps.draw(data).axes
    assert [line.get_ydata()[0] for line in above.lines if line.get_linestyle() != "-"][-1] == floor
    assert below.containers[0].lines[0].get_xdata().tolist() == [3, 6]


def test_the_papers_curves_are_its_tables() -> None:
    points = {
        (curve.parameter, x, curve.dataset): y
        for curve in ablations.published()
        for x, y in zip(curve.x, curve.mean, strict=True)
    }
    assert len(points) == 28
    for (parameter, x, dataset), y in points.items():
        values = [
            v for k, v in accuracy().items() if k[1:] == (f"{parameter}={x:g}", f"{dataset}-conv5")
        ]
        assert values == [y]


def test_the_heat_map_is_the_difference_of_two_rows(studio: Options) -> None:
    data = heatmap.compute(target("heatmap"), studio)
    (panel,) = data.panels
    assert data.columns == [("parts32", probe) for probe in ("conv1", "conv3", "conv5")]
    # rows are beta-vae, patchvae, patchvae-gan-lw, random: three cells a row, half a point a cell
    assert panel.difference[0].tolist() == [1.5, 1.5, 1.5]
    assert np.isnan(panel.difference[1:]).all()
    assert not panel.excludes_zero[1:].any()


@pytest.mark.parametrize(("apart", "bold"), [(0.0, True), (3.0, False)])
def test_a_difference_is_bold_when_its_paired_interval_excludes_zero(
    apart: float, bold: bool
) -> None:
    # 1.5 points at every seed, or -1.5, 1.5 and 4.5; t(0.975, 2) / sqrt(3) = 2.48 deviations
    def document(values: list[float]) -> dict[str, object]:
        return {
            "seeds": [0, 1, 2],
            "values": values,
            "mean": values[1],
            "paper": values[1],
            "n_test": 5000,
        }

    scattered = [40.0, 60.0, 50.0]  # shared by both rows, so of no weight
    shifts = (1.5 - apart, 1.5, 1.5 + apart)
    documents = {
        ("beta-vae", "parts32-conv5"): document(scattered),
        ("patchvae", "parts32-conv5"): document(
            [a + b for a, b in zip(scattered, shifts, strict=True)]
        ),
    }
    columns = [("parts32", "conv5")]
    assert heatmap._panel("ours", "mean", columns, documents).excludes_zero[0, 0] == bold
    # single runs: 1.96 * sqrt(2) * 0.69 points
    assert not heatmap._panel("the paper's", "paper", columns, documents).excludes_zero[0, 0]
    documents["patchvae", "parts32-conv5"]["paper"] = 62.0
    assert heatmap._panel("the paper's", "paper", columns, documents).excludes_zero[0, 0]


def test_training_curves_of_several_datasets_have_one_legend(studio: Options) -> None:
    data = training.compute(target("training"), studio)
    others = [replace(h, run=replace(h.run, dataset="parts64")) for h in data.histories]
    with canvas.style():
        axes = training.draw(replace(data, histories=data.histories + others)).axes
    (legend,) = [axis.get_legend() for axis in axes if axis.get_legend()]
    assert [text.get_text() for text in legend.get_texts()] == [
        "$\\beta$-VAE", "PatchVAE", "PatchVAE-GAN + $L_w$",
    ]  # fmt: skip


@pytest.mark.usefixtures("studio")
def test_the_heat_map_writes_minus_signs() -> None:
    panel = heatmap.Panel("ours", np.array([[-1.5, 2.0]]), np.array([[True, False]]))
    columns = [("parts32", "conv1"), ("parts32", "conv5")]
    with canvas.style():
        figure = heatmap.draw(heatmap.Differences("", columns, [panel]))
    drawn = [(text.get_text(), text.get_fontweight()) for text in figure.axes[0].texts]
    assert drawn == [("\N{MINUS SIGN}1.50", "bold"), ("+2.00", "normal")]


@pytest.mark.usefixtures("project")
def test_the_scatter_has_every_published_number() -> None:
    write_known(paper_cells("paper"), n_test=10_000)
    data = scatter.compute(target("scatter", "paper"), Options())
    assert len(data.points) == 128
    assert {point.ours - point.paper for point in data.points} == {0.0}
    assert {point.verdict for point in data.points} <= {"reproduced", "consistent"}


def test_training_curves_are_the_history(studio: Options) -> None:
    data = training.compute(target("training"), studio)
    assert [h.run.model for h in data.histories] == ["beta-vae", "patchvae", "patchvae-gan-lw"]
    history = data.histories[1]
    lines = (history.run.pretrain / paths.HISTORY).read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    assert history.epochs == [1, 2]
    assert history.terms["kl_vis"] == [float(row["kl_vis"]) for row in rows]
    with canvas.style():
        drawn = training.draw(data).axes[2].lines  # the KL of visibility
    assert drawn[0].get_ydata().tolist() == history.terms["kl_vis"]


@torch.no_grad()
def test_reconstructions_are_the_models_own(studio: Options) -> None:
    data = reconstructions.compute(target("reconstructions"), studio)
    assert list(data.rows) == [
        "test image",
        *(MODELS[m].title for m in ("beta-vae", "patchvae", "patchvae-gan-lw")),
    ]
    trained = load_trained(default_run("small"), studio)
    x = held_out(trained, reconstructions.COUNT)
    x_hat = trained.model(x)[0]
    np.testing.assert_allclose(
        data.rows["PatchVAE"], (x_hat.permute(0, 2, 3, 1).numpy() + 1) / 2, atol=1e-6
    )
    labels = trained.data.labels("test")[trained.data.subset_indices("test", 8)]
    assert len(set(labels.tolist())) == 8


def test_samples_are_repeatable_and_differ(studio: Options) -> None:
    once, twice = (samples.compute(target("samples"), studio).rows for _ in range(2))
    for name, pictures in once.items():
        np.testing.assert_array_equal(pictures, twice[name])
        assert np.ptp(pictures, axis=0).max() > 0


def test_the_traversal_changes_one_dimension(studio: Options) -> None:
    data = traversal.compute(target("traversal"), studio)
    assert data.pictures.shape == (2, 7, 32, 32, 3)
    trained = load_trained(default_run("small"), studio)
    with torch.no_grad():
        _, mean, log_var = trained.model.posterior(held_out(trained, 40))
    kl = 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(2).mean(0)
    assert data.part == int(kl.argmax())
    assert data.visibility.shape == (4, 4)


def test_filters_are_the_encoders(studio: Options) -> None:
    data = filters.compute(target("filters"), studio)
    assert list(data.weights) == ["beta-vae", "patchvae", "patchvae-gan-lw", "random"]
    weights = data.weights["patchvae"]
    trained = load_trained(default_run("small"), studio)
    np.testing.assert_array_equal(weights, trained.model.trunk.conv1.weight.detach().numpy())
    picture = filters.mosaic(weights)
    assert picture.shape == (63, 63, 3)
    np.testing.assert_allclose(
        picture[8:15, 16:23, 1], 0.5 + weights[8 + 2, 1] / (2 * abs(weights).max()), rtol=1e-6
    )


@pytest.mark.parametrize("name", ["figure1", "ablations", "traversal"])
def test_the_same_input_gives_the_same_bytes(name: str, studio: Options) -> None:
    written = write_figure("small", name, studio)
    before = [path.read_bytes() for path in written]
    assert [path.name for path in written] == [f"{name}.pdf", f"{name}.png"]
    assert [path.read_bytes() for path in write_figure("small", name, studio)] == before
    assert b"CreationDate" not in before[0]


@pytest.mark.parametrize("name", [n for n in FIGURES if n != "scatter"])
def test_every_figure_names_its_study_within_its_page(name: str, studio: Options) -> None:
    module = import_module(f"patchvae.figures.{name}")
    data = module.compute(target(name), studio)
    with canvas.style():
        figure = module.draw(data)
        canvas.save(figure, target(name), data.subject)
        width = figure.texts[-1].get_window_extent().width / rcParams["savefig.dpi"]
    assert figure.texts[-1].get_text().startswith("Study small (a test of figures)")
    assert width < canvas.WIDTH - 0.05


def test_a_long_footer_shrinks_into_its_page(studio: Options) -> None:
    sizes = []
    with canvas.style():
        for words in range(1, 28, 2):  # to 5 points
            figure = canvas.new_figure(1)
            canvas.save(figure, target("heatmap"), "word " * words)
            (footer,) = figure.texts
            # as in the file, which was written last
            right = footer.get_window_extent().x1 / rcParams["savefig.dpi"]
            assert right <= canvas.WIDTH - canvas.MARGIN / 2, words
            sizes.append(footer.get_fontsize())
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == canvas.FOOTER_SIZE > sizes[-1]


def test_an_altered_network_is_refused(studio: Options) -> None:
    (run,) = target("figure2").runs()
    path = run.pretrain / paths.MODEL
    content = path.read_bytes()
    try:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(CheckpointError, match=r"model\.safetensors"):
            load_trained(run, studio)
    finally:
        path.write_bytes(content)
