"""Studies small enough for tests, their folders, and how to forget those of another folder."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from patchvae.runtime.machine import Options
from patchvae.study import config, paths, protocol, runs, table_specs
from patchvae.study import tables as specs
from patchvae.study.registry import DATASETS
from patchvae.study.runs import Run
from patchvae.study.variants import variant_of

REPO = Path(__file__).resolve().parent.parent
# trained for real
TINY = """\
study: tiny
title: a test
seeds: [0, 1]
datasets:
  parts32: {train: 40, test: 40}
protocol:
  model: {latent_dim: 8, num_parts: 4, part_dim: 2}
  pretrain: {epochs: 2, batch_size: 8, lr: 1.0e-3, snapshots: 1}
  probe: {epochs: 4, batch_size: 8, lr_step: 2, hidden: 32}
tables:
  table1:
    datasets: [parts32]
    without: [imagenet-pretrained]
  table5: {datasets: [parts32]}
"""
TABLE1 = (
    "beta-vae", "beta-vae-lw", "beta-vae-gan", "beta-vae-gan-lw", "patchvae", "patchvae-lw",
    "patchvae-gan", "patchvae-gan-lw", "bigan", "imagenet-pretrained",
)  # fmt: skip
# its results are made up (made_results.py)
MINI = """\
study: mini
title: a test
seeds: [0, 1]
datasets:
  parts32: {train: 80, test: 40}
protocol:
  model: {num_parts: 4, part_dim: 2}
  pretrain: {epochs: 2, batch_size: 16, lr: 1.0e-3}
  probe: {epochs: 4, batch_size: 16, lr_step: 2, hidden: 32}
tables:
  table4: {datasets: [parts32]}
  table5: {datasets: [parts32]}
"""


def table1_of(*models: str) -> str:
    """The study `tiny` with these models of Table 1 alone."""
    without = [m for m in TABLE1 if m not in models]
    text = TINY.replace("without: [imagenet-pretrained]", f"without: [{', '.join(without)}]")
    return text.replace("  table5: {datasets: [parts32]}\n", "")


def train_table1(options: Options) -> None:
    """Every training and cell of the present `tiny`'s Table 1, for real."""
    from patchvae.analysis.cells import write_cell
    from patchvae.training.pretrain import pretrain
    from patchvae.training.probe import probe as train_probe

    cells = specs.load_table("tiny", "table1").cells()
    for probe in {p.folder: p for cell in cells for p in cell.probes()}.values():
        if not (probe.run.pretrain / paths.METRICS).exists():
            pretrain(runs.resolve_run(probe.run), options)
        train_probe(probe, options)
    for cell in cells:
        write_cell(cell)


def tiny_run(model: str, seed: int = 0) -> Run:
    """A run of the study `tiny` with default hyper-parameters."""
    variant = variant_of(config.load_study("tiny"), "parts32", model, {})
    return Run("tiny", "parts32", model, variant, seed)


def new_project(folder: Path, **studies: str) -> Path:
    """A folder with a copy of config/, and in it studies by name and text."""
    shutil.copytree(REPO / "config", folder / "config")
    for name, text in studies.items():
        (folder / "config" / f"{name}.yaml").write_text(text)
    forget_configs()
    return folder


def write_study(name: str, text: str) -> None:
    """A study of the current folder, read afresh."""
    Path("config", f"{name}.yaml").write_text(text)
    forget_configs()


def edit_study(old: str, new: str, name: str = "tiny") -> None:
    """Replace what occurs once in config/<name>.yaml of the current folder."""
    text = Path("config", f"{name}.yaml").read_text()
    assert text.count(old) == 1, old
    write_study(name, text.replace(old, new))


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Within the block a folder is the current one, and its config/ is read afresh."""
    before = Path.cwd()
    os.chdir(folder)
    forget_configs()
    try:
        yield
    finally:
        os.chdir(before)
        forget_configs()


def forget_configs() -> None:
    """Drop what was read from another folder's config/."""
    for read in (protocol._document, protocol._validator, protocol.protocol, config.load_study):
        read.cache_clear()
    for read in (table_specs.read_spec, specs.load_table, runs.resolve_run, runs.resolve_probe):
        read.cache_clear()
    for declared in [name for name, facts in DATASETS.items() if facts.root]:
        del DATASETS[declared]
