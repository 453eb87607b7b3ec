"""A study small enough for tests, and how to forget the studies of another folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from patchvae.study import config
from patchvae.study import tables as specs
from patchvae.study.runs import Run, variant_of

REPO = Path(__file__).resolve().parent.parent
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


def tiny_run(model: str, seed: int = 0) -> Run:
    """A run of the study above with default hyper-parameters."""
    variant = variant_of(config.load_study("tiny"), "parts32", model, {})
    return Run("tiny", "parts32", model, variant, seed)


def edit_tiny(project: Path, old: str, new: str) -> None:
    """Replace what occurs once in the study."""
    path = project / "config" / "tiny.yaml"
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))
    forget_configs()


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
    for read in (config._document, config._validator, config.protocol, config.load_study):
        read.cache_clear()
    for read in (specs.read_spec, specs.load_table):
        read.cache_clear()
