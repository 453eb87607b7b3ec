"""Pretraining and probing."""
