"""Figures: each module computes plain data (`compute`) and draws them (`draw`); docs/figures.md."""
