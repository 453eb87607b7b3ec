"""A small study with trained runs and made-up cells, shared by the tests of figures."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_study import REPO, inside

from patchvae.analysis.cells import cell_config_digest
from patchvae.paper.published import CellKey
from patchvae.runtime.machine import Options
from patchvae.runtime.results import write_result
from patchvae.study import tables as specs
from patchvae.study.tables import Cell

SMALL = """\
study: small
title: a test of figures
seeds: [0]
datasets:
  parts32: {train: 120, test: 40}
protocol:
  model: {latent_dim: 8, num_parts: 6, part_dim: 2}
  pretrain: {epochs: 2, batch_size: 40, lr: 1.0e-3, snapshots: 1}
tables:
  table1:
    datasets: [parts32]
    without: [beta-vae-lw, beta-vae-gan, beta-vae-gan-lw, patchvae-lw, patchvae-gan, bigan,
      imagenet-pretrained]
    extra: [{model: random, reference: true}]
  table3:
    datasets: [parts32]
    without: [num_parts=4, num_parts=16, num_parts=32, num_parts=64, part_dim=6, part_dim=9]
  table5: {datasets: [parts32]}
"""


def make_cells(
    cells: list[Cell], n_test: int = 400, published: dict[CellKey, float] | None = None
) -> None:
    """Cells with known numbers: the i-th has mean 20 + i / 2, or each the published one."""
    for i, cell in enumerate(cells):
        paper = (published or {}).get(CellKey(cell.table, cell.row.key, cell.column_key))
        mean = 20 + i / 2 if paper is None else paper
        document = {
            "mean": mean,
            "interval": [mean - 1, mean + 2],
            "seeds": [0, 1],
            "values": [mean - 0.1, mean + 0.1],
            "n_test": n_test,
            "paper": paper,
            "config_digest": cell_config_digest(cell),
        }
        write_result(cell.path, "cell", document)


@pytest.fixture
def write_cells() -> Callable[..., None]:
    """`make_cells`, for the current folder."""
    return make_cells


@pytest.fixture(scope="package")
def trained(tmp_path_factory: pytest.TempPathFactory, parts_root: Path) -> tuple[Path, Options]:
    """A folder in which the runs of the study `small` are trained and its cells written."""
    from patchvae.figures.inputs import model_runs, vae_runs
    from patchvae.study.runs import resolve_run
    from patchvae.training.pretrain import pretrain

    folder = tmp_path_factory.mktemp("figures") / "project"
    shutil.copytree(REPO / "config", folder / "config")
    (folder / "config" / "small.yaml").write_text(SMALL)
    options = Options(device="cpu", data=parts_root)
    with inside(folder):
        runs = [*model_runs("small", "parts32").values(), *vae_runs("small", "parts32").values()]
        for run in dict.fromkeys(seeds[0] for seeds in runs):
            pretrain(resolve_run(run), options)
        for name in ("table1", "table3", "table5"):
            make_cells(specs.load_table("small", name).cells())
    return folder, options


@pytest.fixture
def studio(trained: tuple[Path, Options]) -> Iterator[Options]:
    """That folder as the current one; gives the options to draw with."""
    with inside(trained[0]):
        yield trained[1]
