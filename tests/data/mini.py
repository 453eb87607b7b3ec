"""A tiny dataset of synthetic parts."""

from patchvae.study.registry import Dataset

MINI = Dataset("mini", "Mini", 32, 10, 200, 40, module="parts")
