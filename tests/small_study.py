"""A study small enough for tests, and how to forget the studies of another folder."""

from pathlib import Path

from patchvae import config, specs

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


def forget_configs() -> None:
    """Drop what was read from another folder's config/."""
    for cached in (config.protocol, config.load_study, specs.read_spec, specs.load_table):
        cached.cache_clear()
