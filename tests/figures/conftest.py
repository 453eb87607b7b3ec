"""A small study with trained runs and cells of known numbers, shared by the tests of figures."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from made_results import write_known
from small_study import inside, new_project

from patchvae.runtime.machine import Options
from patchvae.study.tables import load_table

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
  length:
    datasets: [parts32]
    without: [beta-vae-10, beta-vae-25, beta-vae-50, patchvae-10, patchvae-25, patchvae-50,
      beta-vae-lw-5, beta-vae-lw-10, beta-vae-lw-25, beta-vae-lw-50, beta-vae-lw,
      patchvae-lw-5, patchvae-lw-10, patchvae-lw-25, patchvae-lw-50, patchvae-lw]
    extra: [{model: random, reference: true}]
    differences: [[patchvae-5, beta-vae-5], [patchvae, beta-vae], [patchvae, random]]
sensitivity: {rows: [beta-vae, patchvae], readings: [A4, A24]}
"""


@pytest.fixture(scope="package")
def trained(tmp_path_factory: pytest.TempPathFactory, parts_root: Path) -> tuple[Path, Options]:
    """A folder in which the runs of the study `small` are trained and its cells written."""
    from patchvae.figures.inputs import model_runs, vae_runs
    from patchvae.study.runs import resolve_run
    from patchvae.training.pretrain import pretrain

    folder = new_project(tmp_path_factory.mktemp("figures") / "project", small=SMALL)
    options = Options(device="cpu", data=parts_root)
    with inside(folder):
        runs = [*model_runs("small", "parts32").values(), *vae_runs("small", "parts32").values()]
        for run in dict.fromkeys(seeds[0] for seeds in runs):
            pretrain(resolve_run(run), options)
        for name in ("table1", "table3", "table5", "length", "sensitivity"):
            write_known(load_table("small", name).cells())
    return folder, options


@pytest.fixture
def studio(trained: tuple[Path, Options]) -> Iterator[Options]:
    """That folder as the current one; gives the options to draw with."""
    with inside(trained[0]):
        yield trained[1]
