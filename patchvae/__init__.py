"""Regenerates every table and figure of the PatchVAE paper."""

__version__ = "0.1.0"
