"""Datasets: one file each, and the prepared form (`store`) that everything else reads."""
